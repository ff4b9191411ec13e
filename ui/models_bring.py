"""Bringing a model: its path or file, what it was found to be, and what to import it as."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from core.models.facts import Facts
from core.types import ShiftlabError

AS_BASE, AS_EDIT, AS_FILE = "a base", "an edit of the loaded base", "a file in its family's own layout"
AS_CLIP, AS_IDENTITY, AS_TEXT_TO_IMAGE = "a CLIP model", "an identity encoder", "a text-to-image model"
USES = {
    "folder": [AS_BASE, AS_FILE],
    "ddpm": [AS_BASE, AS_EDIT],
    "guided": [AS_BASE, AS_EDIT],
    "edit": [AS_EDIT],
    "asyrp": [AS_EDIT],
    "clip": [AS_CLIP],
    "identity": [AS_IDENTITY],
    "text_to_image": [AS_TEXT_TO_IMAGE],
}
DOMAINS = ["photo of a face", "photo", "photo of a church", "photo of a bedroom", "photo of a cat", "photo of a dog"]
WHAT = (
    '<h2 class="heading">Bring a model</h2><p class="help">A diffusers folder, a DDPM or guided-diffusion checkpoint '
    "(P2, ILVR, SDFT, ADM-256), an edit, a CLIP model, a face encoder, or a pipeline of Stable Diffusion 1.x. It is only read: nothing "
    "in a file is ever executed.</p>"
)


@dataclass(frozen=True)
class Bring:
    """The left column."""

    path: gr.Textbox
    drop: gr.File
    image_size: gr.Number
    head_channels: gr.Number
    clip_name: gr.Textbox
    look: gr.Button
    found: gr.HTML
    make: gr.Column
    use: gr.Radio
    name: gr.Textbox
    domain: gr.Dropdown
    file: gr.Textbox
    reference: gr.Textbox
    target: gr.Textbox
    go: gr.Button

    def inputs(self) -> set[Component]:
        shown_only = ("look", "found", "make", "go")
        return {getattr(self, name) for name in self.__dataclass_fields__ if name not in shown_only}

    def outputs(self) -> list[Any]:
        written = [self.name, self.domain, self.file, self.reference, self.target, self.path, self.drop]
        return [self.found, self.make, self.use, self.go, *written]

    def said(self, values: Mapping[Any, Any]) -> dict[str, Any]:
        """What was stated of a file that does not say it: `inspect`'s keyword arguments."""
        stated = {"image_size": values[self.image_size], "head_channels": values[self.head_channels]}
        name = (values[self.clip_name] or "").strip()
        return {key: int(value) for key, value in stated.items() if value} | ({"clip_name": name} if name else {})


def build_bring() -> Bring:
    """Inside the open column."""
    with gr.Column(elem_classes="card bring"):
        gr.HTML(WHAT)
        path = gr.Textbox(
            "", label="Path", info="of a file or folder on the lab's machine, or a name in the list", max_lines=1, interactive=True,
            placeholder="/models/celeba_hq.ckpt", elem_id="models-path",
        )  # fmt: skip
        drop = gr.File(label="A file", show_label=False, type="filepath", height=110, elem_id="models-drop", elem_classes="drop")
        gr.HTML('<p class="help">Or a file of up to 64 MB, dropped here; larger ones by their path.</p>')
        with gr.Accordion("What the file may not say", open=False, elem_classes="more"):
            image_size = gr.Number(
                None, label="Image size", info="pixels a side", precision=0, minimum=8, interactive=True, elem_id="models-size"
            )
            head_channels = gr.Number(
                None, label="Channels a head", info="guided-diffusion only", precision=0, minimum=1, interactive=True, elem_id="models-head"
            )
            clip_name = gr.Textbox(
                "", label="CLIP model", info="as open_clip names it", max_lines=1, interactive=True, placeholder="ViT-B-16",
                elem_id="models-clip-name",
            )  # fmt: skip
        look = gr.Button("Inspect", variant="primary", elem_id="models-inspect")
    found = gr.HTML("", elem_id="models-found")
    with gr.Column(elem_classes="card", visible=False) as make:
        use = gr.Radio([], label="Use it as", interactive=True, elem_id="models-use")
        name = gr.Textbox("", label="Name", max_lines=1, interactive=True, elem_id="models-name")
        domain = gr.Dropdown(
            DOMAINS, value=None, label="What its images show", info="photographs of faces are aligned for a base of faces",
            allow_custom_value=True, interactive=True, visible=False, elem_id="models-domain",
        )  # fmt: skip
        file = gr.Textbox(
            "", label="File", info="a new one on the lab's machine: .ckpt, .pt, .pth or .safetensors", max_lines=1, interactive=True,
            visible=False, elem_id="models-file",
        )  # fmt: skip
        reference = gr.Textbox("", label="Reference prompt", max_lines=2, interactive=True, visible=False, elem_id="models-reference")
        target = gr.Textbox("", label="Target prompt", max_lines=2, interactive=True, visible=False, elem_id="models-target")
        go = gr.Button("Import", elem_id="models-import")
    return Bring(path, drop, image_size, head_channels, clip_name, look, found, make, use, name, domain, file, reference, target, go)


def chosen_path(path: str | None, dropped: str | None, find: Callable[[str], Path]) -> Path:
    """The path, or the model's name, that was typed, else the file that was dropped. find: from a path or name to where it lies."""
    given = (path or "").strip() or dropped
    if not given:
        raise ShiftlabError("There is nothing to inspect yet. Give a path, or drop a file.")
    return find(given)


def offered(bring: Bring, facts: Facts | None, exports: Path, use: str | None = None) -> dict[Any, Any]:
    """What can be made of the facts: the ways to use it, and what each one asks. exports: folder proposed for a file."""
    uses = USES[facts.kind] if facts else []
    if facts is None or not uses:
        return {bring.make: gr.update(visible=False)}
    chosen = use if use in uses else uses[0]
    told = chosen == AS_EDIT and facts.kind != "edit"  # an edit of ours brings its prompts in its card
    updates = {
        bring.make: gr.update(visible=True),
        bring.use: gr.update(choices=uses, value=chosen, visible=len(uses) > 1),
        bring.domain: gr.update(visible=chosen == AS_BASE),
        bring.file: gr.update(visible=chosen == AS_FILE),
        bring.name: gr.update(visible=chosen != AS_FILE),
        bring.reference: gr.update(visible=told),
        bring.target: gr.update(visible=told),
        bring.go: gr.update(value="Write" if chosen == AS_FILE else "Import"),
    }
    if use:  # another way for the same file: what was typed stays
        return updates
    updates[bring.domain]["value"] = facts.details.get("domain") or None
    updates[bring.file]["value"] = str(exports / f"{facts.path.stem}.ckpt")
    updates[bring.name]["value"] = facts.details.get("name") or facts.path.stem
    return updates
