"""Drawing on the picture: strokes to redraw from, and a mask of what may change. Both are drawn on the square that the model sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr
from PIL import Image, ImageChops

from core.data.pictures import enlarge
from ui.methods import about
from ui.requests import square_of
from ui.session import Drawing, Session

CANVAS = 320  # pixels
PAINTS = ["#1c1a18", "#ffffff", "#c0392b", "#e0a030", "#2e7d4f", "#2f6db5", "#7a4a2b", "#f0c8a0"]
OPEN_REGION, OPACITY = "#2dd4bf", 0.6


def editor(label: str, brush: gr.Brush, elem_id: str) -> gr.ImageEditor:
    """A canvas with a brush and nothing else."""
    return gr.ImageEditor(
        label=label, show_label=False, type="pil", format="png", sources=(), transforms=(), layers=False, brush=brush, buttons=[],
        canvas_size=(CANVAS, CANVAS), fixed_canvas=True, height=CANVAS + 70, interactive=True, elem_id=elem_id, elem_classes="canvas",
    )  # fmt: skip


def paints() -> gr.Brush:
    """For strokes."""
    return gr.Brush(default_size=14, colors=PAINTS, default_color=PAINTS[0], color_mode="defaults")


def marker() -> gr.Brush:
    """For the mask."""
    return gr.Brush(default_size=40, colors=[(OPEN_REGION, OPACITY)], default_color=(OPEN_REGION, OPACITY), color_mode="fixed")


def fresh_canvases(canvases: Any, method: str, session: Session, lab: Any) -> dict[Any, Any]:
    """What the canvases show of a method and the session's picture, where something is drawn on another one, or there was nothing yet.

    Nothing is drawn on it at first. What came with a request, or was drawn before the canvases were hidden, is there and may be drawn on.
    """
    draws = about(method).draws and session.picture is not None and lab.base is not None
    before, session.on_canvas = session.on_canvas, (session.picture, session.drawing) if draws else None
    if session.on_canvas in (None, before):
        return {}
    square = enlarge(square_of(session.picture, lab.base.image_size), CANVAS)
    strokes = enlarge(session.drawing.painted, CANVAS) if session.drawing.painted else square
    return {canvases.strokes: _untouched(strokes), canvases.mask: _marked(square, session.drawing.mask)}


def drawing(how: Callable[[Any, Drawing], Drawing]) -> Callable[[Session, Any], None]:
    """The handler of a canvas: `painted` or `masked`."""

    def handler(session: Session, value: Any) -> None:
        session.drawing = how(value, session.drawing)
        session.on_canvas = (session.picture, session.drawing)

    return handler


def painted(value: dict[str, Any] | None, drawing: Drawing) -> Drawing:
    """The drawing with an editor's strokes; without any, the picture is redrawn as it is."""
    there = _drawn(value) is not None
    return Drawing(value["composite"].convert("RGB") if value and there else None, drawing.mask)


def masked(value: dict[str, Any] | None, drawing: Drawing) -> Drawing:
    """The drawing with an editor's mask: white where it was drawn on. Without any, everything may change."""
    return Drawing(drawing.painted, _drawn(value))


def _untouched(picture: Image.Image) -> dict[str, Any]:
    return {"background": picture, "layers": [], "composite": picture}


def _marked(picture: Image.Image, mask: Image.Image | None) -> dict[str, Any]:
    if mask is None:
        return _untouched(picture)
    layer = Image.new("RGBA", picture.size, OPEN_REGION)
    layer.putalpha(mask.convert("L").resize(picture.size).point(lambda white: round(OPACITY * white)))
    return {"background": picture, "layers": [layer], "composite": Image.alpha_composite(picture.convert("RGBA"), layer)}


def _drawn(value: dict[str, Any] | None) -> Image.Image | None:
    """Where any layer was drawn on, as an "L" picture of 0 and 255; None for an untouched canvas."""
    together: Image.Image | None = None
    for layer in (value or {}).get("layers") or []:
        alpha = layer.convert("RGBA").getchannel("A").point(lambda a: 255 if a else 0)
        together = alpha if together is None else ImageChops.lighter(together, alpha)
    return together if together is not None and together.getbbox() else None
