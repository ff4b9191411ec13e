"""An image drop zone that hands over the file as it came, so that our own decoder judges it and its metadata survive."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.data_classes import ImageData


def drop_zone(**options: Any) -> gr.Image:
    """`gr.Image` whose handlers get the uploaded file's path (or None).

    Gradio's own `preprocess` opens the file first, and fails on a damaged one with a toast that is no sentence. The path is inside its
    upload folder: it refuses others before `preprocess` is called. The method is replaced on the object, because a subclass of a
    component makes Gradio write a .pyi file beside this one.
    """
    zone = gr.Image(type="filepath", sources=["upload"], buttons=[], interactive=True, **options)

    def path_of(payload: ImageData | None) -> str | None:
        return payload.path if payload else None

    zone.preprocess = path_of
    return zone
