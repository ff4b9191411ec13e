"""How the page is served: theme, style sheet, favicon, and headers that let the browser load nothing from any other host."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.types import ShiftlabError
from ui.gradio_repair import repaired_scripts
from ui.theme import theme

ASSETS = Path(__file__).resolve().parents[1] / "assets"

# Gradio's own scripts are inline and compile templates, hence the two unsafe words; everything else must come from this server.
POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    ]
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "SAMEORIGIN",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
# Open pages whose state is kept, those that were used last; each takes 1.3 MB and its pictures. Gradio would keep ten thousand.
SESSIONS_KEPT = 200


class StrictHeaders:
    """ASGI middleware: every HTTP answer carries `HEADERS`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def launch(page: gr.Blocks, host: str, port: int, max_file_size: str, block: bool = True) -> str:
    """Serves the page and returns its address; `block=False` returns while it is served (for tests).

    Raises ShiftlabError where the port is taken, or none that can be listened on.
    """
    page.queue(default_concurrency_limit=4, max_size=128, api_open=False)
    try:
        return _served(page, host, port, max_file_size, block)
    except (OSError, OverflowError) as error:  # the latter for a number that no port has
        raise ShiftlabError(
            f"The lab cannot listen on port {port} of {host}: another program may use it. Choose another one with --port."
        ) from error


def _served(page: gr.Blocks, host: str, port: int, max_file_size: str, block: bool) -> str:
    _, url, _ = page.launch(
        server_name=host,
        server_port=port,
        theme=theme(),
        css_paths=[ASSETS / "style.css"],
        favicon_path=str(ASSETS / "favicon.svg"),
        max_file_size=max_file_size,
        state_session_capacity=SESSIONS_KEPT,
        app_kwargs={"middleware": [Middleware(StrictHeaders)], "routes": repaired_scripts()},
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        share=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        show_error=True,
        prevent_thread_lock=not block,
    )
    return url
