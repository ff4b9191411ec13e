"""What the Edit tab's right column shows of a session, as updates by component."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr
from gradio.components import Component
from PIL import Image

from core.data.pictures import difference, enlarge, side_by_side
from ui.edit_layout import AFTER, BEFORE, DIFFERENCE, SIDE, SLIDER, Results
from ui.history import changes
from ui.preview import Progress
from ui.scores import scores_html
from ui.session import Session, Shot
from ui.shown import shown_file

DISPLAY = 640  # pixels of the longer side, so that a small picture is a picture and no stamp

Updates = dict[Component, Any]


def result_updates(results: Results, session: Session, view: str, lab: Any) -> Updates:
    """Picture, caption and numbers of the result that is shown, or of the two that are compared."""
    shot = session.shown
    if shot is None:
        return {results.progress: ""}
    before, after = shot.pair(session.in_photo)
    if session.against:
        before = session.against.pair(session.in_photo)[1]
    scores = {} if shot.coarse else {results.scores: scores_html(shot.scores, shot.timing, lab.identity, lab.perceptual)}
    return {
        **picture_updates(results, before, after, view),
        **scores,
        results.in_photo: gr.update(visible=shot.picture.frame is not None),
        results.strip: gr.update(visible=False),
        results.caption: caption_html(session, shot, lab),
        results.progress: "",
    }


def picture_updates(results: Results, before: Image.Image, after: Image.Image, view: str) -> Updates:
    """The slider, or the one picture that the keyboard's choice asks for."""
    cache = results.slider.GRADIO_CACHE
    if view == SLIDER:
        pair = (shown_file(before, DISPLAY, cache), shown_file(after, DISPLAY, cache))
        return {results.slider: gr.update(value=pair, visible=True), results.image: gr.update(visible=False)}
    picture = shown_file(one_picture(before, after, view), DISPLAY, cache)
    return {results.slider: gr.update(visible=False), results.image: gr.update(value=picture, visible=True)}


def one_picture(before: Image.Image, after: Image.Image, view: str) -> Image.Image:
    """Before, after, their difference, or both beside each other, enlarged."""
    large = [enlarge(before, DISPLAY), enlarge(after, DISPLAY)]
    made = {BEFORE: lambda: large[0], AFTER: lambda: large[1], DIFFERENCE: lambda: difference(*large), SIDE: lambda: side_by_side(large)}
    return made[view]()


def caption_html(session: Session, shot: Shot, lab: Any) -> str:
    """Which result this is; in a comparison, what differs."""
    if session.against is None:
        state = '<span class="tag">first look</span>' if shot.coarse else ""
        return f'<p class="caption">{escape(shot.picture.name)} → <b>{escape(shot.title)}</b> {state}</p>'
    settings_class = lab.methods[shot.record["method"]].edit_settings
    differing = " · ".join(escape(line) for line in changes(session.against, shot, settings_class))
    return f'<p class="caption">Left <b>{session.against.number}</b>, right <b>{shot.number or "now"}</b>: {differing}</p>'


def progress_html(seen: Progress) -> str:
    """A thin line that grows, and its words."""
    return (
        f'<div class="progress" role="status"><span class="bar"><span style="width:{seen.fraction * 100:.0f}%"></span></span>'
        f"<span>{escape(seen.text)}</span></div>"
    )


def alert(text: str, calm: bool = False) -> str:
    """A sentence for the person at the page; calm ones are notes, the others say that something did not work."""
    return f'<div class="alert{" calm" if calm else ""}" role="{"status" if calm else "alert"}">{escape(text)}</div>'


def empty_html() -> str:
    """Where there is no result yet."""
    return '<p class="caption">Nothing was edited yet. Choose a picture and an edit; the result appears here.</p>'


def merged(*parts: Updates) -> Updates:
    """Updates one after the other: for one component, a later one adds to an earlier `gr.update` and replaces a plain value."""
    together: Updates = {}
    for part in parts:
        for component, value in part.items():
            old = together.get(component)
            both = isinstance(old, dict) and isinstance(value, dict) and "__type__" in old and "__type__" in value
            together[component] = {**old, **value} if both and old is not None else value
    return together
