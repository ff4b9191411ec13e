"""The Data tab: source, target and one-shot images, and what was understood of each upload."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from core.jobs.sets import shelf_of
from ui.data_labelled import LabelledCard
from ui.data_sets import KEPT_IMAGES, SETS, DataSets, example_files, report_html
from ui.events import QUIET, in_order, while_busy
from ui.state import Shared

PURPOSE = {
    "source": "What you want to carry across. Edit shows them first; Tune can learn from them.",
    "target": "How it shall look. Tune can take its direction from them.",
    "one_shot": "One picture of the target, where there is only one.",
}
NONE = ""  # no domain is chosen to add examples of
IN_ORDER = in_order("data")  # what shows the sets; looking for faces is not part of it
Updates = dict[Any, Any]


@dataclass(frozen=True)
class Panel:
    """The components of one set."""

    heading: gr.HTML
    drop: gr.File
    gallery: gr.Gallery
    examples: gr.Dropdown
    remove: gr.Button
    clear: gr.Button
    chosen: gr.State  # index of the thumbnail that was clicked, or None

    def outputs(self) -> list[Any]:
        return [getattr(self, name) for name in self.__dataclass_fields__]


def build(lab: Any, shared: Shared) -> None:
    """Builds the tab inside the open `gr.Tab`."""
    DataTab(shared).wire()
    LabelledCard(shelf_of(lab.home / "sets"), shared).wire()


class DataTab:
    """Three panels, one report, and the handlers between them."""

    def __init__(self, shared: Shared) -> None:
        self.states = {key: getattr(shared, key) for key in SETS}
        self.sets = gr.State(DataSets())
        with gr.Row(elem_classes="sets", equal_height=True):
            self.panels = {key: _panel(key, title) for key, title in SETS.items()}
        self.report = gr.HTML(report_html(DataSets()), elem_id="data-report")

    def shown(self, key: str, sets: DataSets) -> Updates:
        """A set after it changed: what the page shows of it, and what the other tabs get."""
        panel, count = self.panels[key], len(sets.rows[key])
        return {
            panel.heading: _heading(key, count),
            panel.drop: None,
            panel.gallery: gr.update(value=sets.thumbnails(key), visible=count > 0, selected_index=None),
            panel.examples: NONE,
            panel.remove: gr.update(visible=False),
            panel.clear: gr.update(visible=count > 0),
            panel.chosen: None,
            self.states[key]: sets.images(key),
            self.report: report_html(sets),
        }

    def upload(self, key: str) -> Callable[..., Updates]:
        """Files into the set; the component is emptied at once, for the gallery shows what came of them."""

        def handler(sets: DataSets, files: list[str] | str | None) -> Updates:
            paths = [files] if isinstance(files, str) else files or []
            sets.refused = []
            sets.add(key, map(Path, paths))
            return self.shown(key, sets)

        return handler

    def add_examples(self, key: str) -> Callable[..., Updates]:
        def handler(sets: DataSets, domain: str | None) -> Updates:
            sets.refused = []
            there = {row.image.name for row in sets.rows[key]}
            files = [path for path in example_files().get(domain or "", []) if path.name not in there]
            sets.add(key, files[:1] if key == "one_shot" else files)
            return self.shown(key, sets)

        return handler

    def remove_one(self, key: str) -> Callable[..., Updates]:
        def handler(sets: DataSets, index: int | None) -> Updates:
            if index is not None:
                sets.remove(key, index)
            return self.shown(key, sets)

        return handler

    def remove_all(self, key: str) -> Callable[..., Updates]:
        def handler(sets: DataSets) -> Updates:
            sets.refused = []
            sets.remove(key, None)
            return self.shown(key, sets)

        return handler

    def faces(self, sets: DataSets) -> Iterator[Updates]:
        """Looks for faces image by image; the table tells each one as soon as it is known."""
        while sets.look_for_faces():
            yield {self.report: report_html(sets)}
        yield {self.report: gr.skip()}

    def with_faces(self, sets: DataSets) -> Updates:
        """Every set as it is by now, with its faces: images may have come or gone while they were looked for."""
        return {panel.gallery: sets.thumbnails(key) for key, panel in self.panels.items()} | {self.report: report_html(sets)}

    def wire(self) -> None:
        """Every event of the tab."""
        for key, panel in self.panels.items():
            outputs = [*panel.outputs(), self.states[key], self.report]
            self._changed(panel.drop.upload, self.upload(key), [self.sets, panel.drop], outputs)
            self._changed(panel.examples.select, self.add_examples(key), [self.sets, panel.examples], outputs)
            panel.remove.click(self.remove_one(key), [self.sets, panel.chosen], outputs, **QUIET, **IN_ORDER)
            panel.clear.click(self.remove_all(key), self.sets, outputs, **QUIET, **IN_ORDER)
            panel.gallery.select(_choose, None, [panel.chosen, panel.remove], queue=False, trigger_mode="multiple", **QUIET)

    def _changed(self, event: Callable[..., Any], handler: Callable[..., Updates], inputs: list[Any], outputs: list[Any]) -> None:
        """The images stand on the page first; their faces are found after."""
        galleries = [panel.gallery for panel in self.panels.values()]
        told = {**QUIET, "show_progress": "minimal", "show_progress_on": [self.report]}
        shown = event(handler, inputs, outputs, **told, **while_busy(event), **IN_ORDER)
        looked = shown.then(self.faces, self.sets, self.report, trigger_mode="always_last", **QUIET)
        looked.then(self.with_faces, self.sets, [*galleries, self.report], trigger_mode="always_last", **QUIET, **IN_ORDER)


def _choose(event: gr.SelectData) -> tuple[int, Any]:
    return event.index, gr.update(visible=True)


def _heading(key: str, count: int) -> str:
    number = f'<span class="count">{count}</span>' if count else ""
    return f'<h2 class="heading">{SETS[key]}{number}</h2><p class="help">{PURPOSE[key]}</p>'


def _panel(key: str, title: str) -> Panel:
    single, prefix = key == "one_shot", f"data-{key.replace('_', '-')}"
    offered = {name: 1 if single else len(files) for name, files in example_files().items()}
    with gr.Column(elem_classes="card set", min_width=280):
        heading = gr.HTML(_heading(key, 0))
        drop = gr.File(
            label=f"{title} images", show_label=False, file_count="single" if single else "multiple", type="filepath", height=120,
            elem_id=f"{prefix}-drop", elem_classes="drop",
        )  # fmt: skip
        gallery = gr.Gallery(
            label=f"{title} images", show_label=False, visible=False, interactive=False, allow_preview=False, columns=5, height="auto",
            object_fit="cover", buttons=[], format="png", type="pil", elem_id=f"{prefix}-gallery", elem_classes="strip",
        )  # fmt: skip
        with gr.Row(elem_classes="set-row"):
            examples = gr.Dropdown(
                [("choose a domain", NONE), *((f"{name} ({count})", name) for name, count in offered.items())],
                value=NONE, label="Add examples", interactive=True, filterable=False, elem_id=f"{prefix}-examples", min_width=130,
            )  # fmt: skip
            remove = gr.Button("Remove", size="sm", visible=False, min_width=70, scale=0, elem_id=f"{prefix}-remove")
            clear = gr.Button("Clear", size="sm", visible=False, min_width=60, scale=0, elem_id=f"{prefix}-clear")
        limit = "One image; a new one takes its place." if single else f"Up to {KEPT_IMAGES} images of any common format."
        gr.HTML(f'<p class="help">{limit}</p>')
    return Panel(heading, drop, gallery, examples, remove, clear, gr.State(None))
