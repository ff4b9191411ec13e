"""Step 1 of the One-shot tab: the one target image, dropped, taken from the examples, or handed over by the Data tab."""

from __future__ import annotations

from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from core.data.images import decode_image
from core.types import ShiftlabError
from ui.adapt_read import small
from ui.oneshot_chain import Chain, Seen, Shelves, Updates, Values
from ui.state import Shared

EXAMPLES = Path(__file__).resolve().parents[1] / "assets" / "examples" / "streets"
SHOWN = 960  # pixels of the longer side on the page
THUMBNAIL = 168
TELL_EXAMPLE = """
element.addEventListener('click', event => {
  const button = event.target.closest('[data-example]');
  if (button) trigger('click', {example: button.dataset.example});
});
"""
NO_IMAGE = (
    '<div class="blank tall"><b>No target image yet.</b> Drop one picture of the target, or take an example. '
    "Everything else is learned from it.</div>"
)


class ImageStep:
    """Components, handlers, and `show` for what changed."""

    def __init__(self, shared: Shared, shelves: Shelves) -> None:
        self.shared, self.shelves = shared, shelves
        with gr.Row(elem_classes="workbench") as self.column_of_step:
            with gr.Column(scale=0, min_width=300, elem_classes="controls"):
                with gr.Column(elem_classes="card"):
                    self.drop = gr.Image(
                        label="Target image", type="filepath", sources=["upload", "clipboard"], format="png", height=170,
                        interactive=True, elem_id="oneshot-drop", buttons=[],
                    )  # fmt: skip
                    self.from_data = gr.Button(
                        "Take the one-shot image of the Data tab", size="sm", visible=False, elem_id="oneshot-from-data",
                        elem_classes="in-card",
                    )  # fmt: skip
                with gr.Column(elem_classes="card"):
                    self.examples = gr.HTML(examples_html(), js_on_load=TELL_EXAMPLE, elem_id="oneshot-examples", elem_classes="plain")
                self.next = gr.Button("Next: personalise", variant="primary", elem_id="oneshot-to-personalise")
            with gr.Column(scale=1, min_width=300, elem_classes="stage"), gr.Column(elem_classes="card told-set"):
                self.told = gr.HTML(NO_IMAGE, elem_id="oneshot-image", elem_classes="plain")

    def inputs(self) -> set[Any]:
        return {self.drop, self.shared.one_shot}

    def outputs(self) -> list[Any]:
        return [self.drop, self.from_data, self.told]

    # --- handlers -----------------------------------------------------------------------------------------------------------------

    def upload(self, values: Values, seen: Seen) -> Updates:
        if values[self.drop]:
            path = Path(values[self.drop])
            self.shelves.shots.take(decode_image(path), path.stem)
        return {self.drop: None}

    def take_example(self, name: str) -> None:
        if name not in examples():
            raise ShiftlabError("This example is no longer there. Choose another one.")
        self.shelves.shots.take(decode_image(examples()[name]), f"street, {name}")

    def take_from_data(self, values: Values, seen: Seen) -> None:
        handed = values[self.shared.one_shot] or []
        if not handed:
            raise ShiftlabError("The Data tab holds no one-shot image. Add one there, or drop one here.")
        self.shelves.shots.take(handed[0].image, Path(handed[0].name).stem)

    # --- what it shows ------------------------------------------------------------------------------------------------------------

    def show(self, chain: Chain, seen: Seen, values: Values) -> Updates:
        """What is not on the page yet."""
        updates: Updates = {}
        handed = bool(values.get(self.shared.one_shot))
        if seen.new("handed", handed):
            updates[self.from_data] = gr.update(visible=handed)
        if seen.new("image", (chain.image, chain.choices.name)):
            updates[self.told] = image_html(chain.image, chain.choices.name) if chain.image is not None else NO_IMAGE
        return updates


@cache
def examples() -> dict[str, Path]:
    """By name, such as "night 1"."""
    files = [path for weather in ("night", "fog") for path in sorted(EXAMPLES.glob(f"{weather}_*.png"))]
    return {path.stem.replace("_", " "): path for path in files}


@cache
def examples_html() -> str:
    """The examples as buttons."""
    buttons = "".join(
        f'<button type="button" data-example="{escape(name)}"><img src="{small(decode_image(path), THUMBNAIL)}" alt="">'
        f"<span>{escape(name)}</span></button>"
        for name, path in examples().items()
    )
    return f'<p class="label">Or a street, in other weather than the source</p><div class="examples">{buttons}</div>'


def image_html(path: Path, name: str) -> str:
    """The image, large, and what a model will see of it."""
    image = decode_image(path)
    words = (
        f"{image.width} × {image.height} pixels. It is brought to the short side that step 2 says, and random square crops of it are "
        "what is learned: one image holds many."
    )
    return (
        f'<h2 class="heading">{escape(name)}</h2><img class="shot" src="{small(image, SHOWN)}" alt="the target image">'
        f'<p class="help">{words}</p>'
    )
