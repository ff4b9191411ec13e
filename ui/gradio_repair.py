"""Statements of Gradio's own script, put right on their way to the browser; what they cost is measured in EXPERIMENTS.md.

- *A stream that never was is closed.* Gradio 6.31 notes a stream as closed whenever an event ends, also where there was no stream. It then
  counts every input of that event among the inputs of streams, and tells each of them the state of every event to come, for as long as the
  page is open: half a core, on a page with hundreds of controls that nobody touches (thirteenth part).
- *Every control asks every event whether it is meant*, and every value that an event needs or changes is sought in the whole tree of the
  page. On a page with hundreds of both that is half of the script with which it opens (sixteenth part).

A Gradio whose script has no such statement is served as it is.
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
EVENTS_OF_ALL_FOR_EACH = re.compile(
    r"find_attached_events\((\w+),(\w+)\)\{let (\w+)=\2\.filter\([^{}]*\.map\(\w+=>\{[^{}]*\}\)\.filter\(Boolean\);"
    r"return \1\.props\.shared_props\.attached_events=\3,\1\}"
)
SOUGHT_IN_THE_WHOLE_TREE = re.compile(
    r"function (\w+)\((\w+),(\w+)\)\{if\(\2\.id===\3\)return \2;"
    r"if\(\2\.children\)for\(let (\w+) of \2\.children\)\{let \2=\1\(\4,\3\);if\(\2\)return \2\}return null\}"
)
# One walk over the events, kept for all controls of the page: the name of each event by its control, the first where one names it twice.
EVENTS_BY_CONTROL = (
    r"find_attached_events(\1,\2){if(this.events_of!==\2){this.events_of=\2;this.events_by_control=new Map;"
    r"for(const event of \2){const told=new Set;for(const[id,name]of event.targets){if(told.has(id))continue;told.add(id);"
    r"if(!this.events_by_control.has(id))this.events_by_control.set(id,[]);if(name)this.events_by_control.get(id).push(name)}}}"
    r"return \1.props.shared_props.attached_events=this.events_by_control.get(\1.id)??[],\1}"
)
# An index of the tree for each root, made anew when it lacks what is sought.
INDEXED = (
    r"const places=new WeakMap;function \1(\2,\3){const known=places.get(\2);if(known?.has(\3))return known.get(\3);const found=new Map,"
    r"walk=node=>{found.has(node.id)||found.set(node.id,node);node.children?.forEach(walk)};"
    r"walk(\2);places.set(\2,found);return found.get(\3)??null}"
)
REPAIRS = (
    (CLOSED_WITHOUT_A_STREAM, r"\1\2=\2&&`closed`"),
    (EVENTS_OF_ALL_FOR_EACH, EVENTS_BY_CONTROL),
    (SOUGHT_IN_THE_WHOLE_TREE, INDEXED),
)


def repaired(script: str) -> str:
    """The script with those statements put right; unchanged where it has none of them."""
    for faulty, better in REPAIRS:
        script = faulty.sub(better, script)
    return script


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
