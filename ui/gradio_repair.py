"""One statement of Gradio's own script, put right on its way to the browser.

Gradio 6.31 notes a stream as closed whenever an event ends, also where there was no stream. It then counts every input of that event among
the inputs of streams, and tells each of them the state of every event to come, for as long as the page is open. On a page with hundreds of
controls and two clocks that keeps half a core busy while nobody touches it (EXPERIMENTS.md, thirteenth part, has the measurement). A Gradio
whose script has no such statement is served as it is.
"""

from __future__ import annotations

import re
from pathlib import Path

import gradio as gr
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

SCRIPTS = Path(gr.__file__).parent / "templates" / "frontend" / "assets"
CLOSED_WITHOUT_A_STREAM = re.compile(r"(\.stage===`complete`\)\{)(\w+)=`closed`")


def repaired(script: str) -> str:
    """The script with that statement closing only what was open; unchanged where it is not there."""
    return CLOSED_WITHOUT_A_STREAM.sub(r"\1\2=\2&&`closed`", script)


def repaired_scripts(folder: Path = SCRIPTS) -> list[Route]:
    """A route for every script of the page that needs it, to be asked before Gradio's own."""
    routes = []
    for path in sorted(folder.glob("*.js")):
        script = path.read_text(encoding="utf-8")
        better = repaired(script)
        if better != script:
            routes.append(Route(f"/assets/{path.name}", _serve(better)))
    return routes


def _serve(script: str):
    async def answer(_: Request) -> Response:
        return Response(script, media_type="text/javascript")

    return answer
