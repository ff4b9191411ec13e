"""Source and target of the segmenters: segmentation sets, drawn from the embedded streets or brought as ZIPs of images and masks."""

from __future__ import annotations

from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from core.adaptation.segment_overlays import legend
from core.data.segmented import SegmentedSet, load_segmented
from core.jobs.scenes import DrawnScenes
from core.jobs.sets import SetEntry
from core.types import ShiftlabError
from core.worlds.streets import DOMAINS
from ui.adapt_set_show import left_out_html, reading_html
from ui.oneshot_chain import Chain, Seen, Shelves, Updates, Values
from ui.read_again import again_button, again_update

SOURCE_SEED, TARGET_SEED = 971_001, 981_001  # scenes that no recipe and no other set of the lab draws
HEIGHT = 64
SCENES, MOST = 800, 20_000
NONE, DRAW = "", "draw:"
NO_SETS = (
    '<div class="blank tall"><b>No source set yet.</b> Draw the embedded streets by one click, or drop a ZIP of images and masks. '
    "A labelled target is optional: it only measures.</div>"
)


class SetsPart:
    """Two cards on the left, and what is told of both sets."""

    def __init__(self, shelves: Shelves) -> None:
        self.shelves = shelves
        with gr.Column(elem_classes="card"):
            self.source = gr.Dropdown(
                [], label="Source set", info="Labelled; every segmenter learns from it.", visible=False, interactive=True,
                allow_custom_value=True, elem_id="oneshot-source",
            )  # fmt: skip
            with gr.Row(elem_classes="pair draw-row"):
                self.count = gr.Number(
                    SCENES, label="Embedded streets", info="A quarter of them tests.", precision=0, minimum=4, maximum=MOST,
                    interactive=True, elem_id="oneshot-scenes", min_width=90,
                )  # fmt: skip
            self.draw = gr.Button("Draw streets by day", size="sm", elem_id="oneshot-draw-streets", elem_classes="in-card")
            self.source_drop = _drop("oneshot-source-drop")
            self.source_again = again_button("oneshot-read-source-again", "in-card")
        with gr.Column(elem_classes="card"):
            self.target = gr.Dropdown(
                [], label="Labelled target", info="Optional. It measures; nobody but the oracle learns from its labels.", interactive=True,
                allow_custom_value=True, elem_id="oneshot-target",
            )  # fmt: skip
            self.target_drop = _drop("oneshot-target-drop")
            self.target_again = again_button("oneshot-read-target-again", "in-card")

    def inputs(self) -> set[Any]:
        return {self.source, self.count, self.source_drop, self.target, self.target_drop}

    def outputs(self) -> list[Any]:
        return [self.source, self.source_drop, self.source_again, self.target, self.target_drop, self.target_again]

    # --- handlers -----------------------------------------------------------------------------------------------------------------

    def draw_source(self, values: Values, seen: Seen) -> None:
        count = int(values[self.count] or SCENES)
        self._choose("source", self._drawn(count, "day", SOURCE_SEED))

    def choose_source(self, values: Values, seen: Seen) -> None:
        self._choose("source", values[self.source] or NONE)

    def choose_target(self, values: Values, seen: Seen) -> None:
        """A set, or one that is drawn now: as many other scenes."""
        chosen = values[self.target] or NONE
        if chosen.startswith(DRAW):
            chosen = self._drawn(int(values[self.count] or SCENES), chosen.removeprefix(DRAW), TARGET_SEED)
        self._choose("target", chosen)

    def upload_source(self, values: Values, seen: Seen) -> Updates:
        self._choose("source", self._bring(values[self.source_drop]))
        return {self.source_drop: None}

    def upload_target(self, values: Values, seen: Seen) -> Updates:
        self._choose("target", self._bring(values[self.target_drop]))
        return {self.target_drop: None}

    def read_source_again(self, values: Values, seen: Seen) -> None:
        self.shelves.scenes.read_again(self.shelves.shots.choices().source)

    def read_target_again(self, values: Values, seen: Seen) -> None:
        self.shelves.scenes.read_again(self.shelves.shots.choices().target)

    def _choose(self, which: str, id: str) -> None:
        if id and id not in {entry.id for entry in self.shelves.scenes.entries()}:
            raise ShiftlabError("This set is no longer there. Choose another one.")
        self.shelves.shots.choose(**{which: id})

    def _drawn(self, count: int, domain: str, seed: int) -> str:
        if count < 4:
            raise ShiftlabError(f"{count} scenes are too few to learn and to test. Take 4 or more.")
        test = count // 4
        drawn = DrawnScenes(train=count - test, test=test, domain=domain, height=HEIGHT, seed=seed)
        return self.shelves.scenes.draw_streets(drawn, f"{count:,} streets, {domain}")

    def _bring(self, file: Any) -> str:
        if not file:
            raise ShiftlabError("Nothing came. Drop a ZIP of images and masks.")
        path = Path(file)
        return self.shelves.scenes.bring(path, path.stem)

    # --- what it shows ------------------------------------------------------------------------------------------------------------

    def show(self, chain: Chain, seen: Seen) -> Updates:
        """What is not on the page yet."""
        return {**self._lists(chain, seen), **self._again(chain, seen)}

    def _again(self, chain: Chain, seen: Seen) -> Updates:
        if not seen.new("scene sets to read again", (told_of(chain.source), told_of(chain.target))):
            return {}
        return {self.source_again: again_update(chain.source), self.target_again: again_update(chain.target)}

    def _lists(self, chain: Chain, seen: Seen) -> Updates:
        there = [(entry.name, entry.id) for entry in self.shelves.scenes.entries()]
        if not seen.new("scene sets", (there, chain.choices.source, chain.choices.target)):
            return {}
        drawn = [(f"Embedded streets, {domain}", DRAW + domain) for domain in DOMAINS[1:]]
        return {
            self.source: gr.update(choices=there, value=chain.choices.source or None, visible=bool(there)),
            self.target: gr.update(choices=[("None", NONE), *there, *drawn], value=chain.choices.target),
        }


def sets_html(shelves: Shelves, chain: Chain) -> str:
    """Both sets: as they are read, then what is in them."""
    if chain.source is None:
        return NO_SETS
    parts = [_set_html(shelves, entry, title) for entry, title in ((chain.source, "source"), (chain.target, "target")) if entry is not None]
    return "".join(parts)


def told_of(entry: SetEntry | None) -> tuple[Any, ...] | None:
    """What changes when there is something else to tell of a set."""
    return entry and (entry.id, entry.state, entry.done, entry.message)


def _set_html(shelves: Shelves, entry: SetEntry, title: str) -> str:
    if not entry.ready:
        return reading_html(entry)
    path = shelves.scenes.index(entry.id)
    return _ready_html(path, path.stat().st_mtime_ns, f"{title}: {entry.name}")


@lru_cache(maxsize=8)
def _ready_html(path: Path, changed: int, title: str) -> str:
    found = load_segmented(path)
    splits = ", ".join(f"{len(items):,} {words}" for words, items in _splits(found) if items)
    head = f'<h2 class="heading">{escape(title[:1].upper() + title[1:])}<span class="count">{len(found):,} pictures</span></h2>'
    notes = f'<p class="help">{splits}.</p>'
    return f'<div class="scene-set">{head}{notes}{shares_html(found)}{left_out_html(found.report)}</div>'


def _splits(found: SegmentedSet) -> list[tuple[str, list[Any]]]:
    names = (("train", "to learn from"), ("validation", "for validation"), ("test", "to test"), ("", "without a split"))
    return [(words, found.split(split)) for split, words in names]


def shares_html(found: SegmentedSet) -> str:
    """How much of all pixels each class has, as one bar and a legend."""
    whole = max(1, sum(count for name, count in found.pixels.items() if name))
    colours = dict(legend(found.classes))
    shares = sorted(((count / whole, name) for name, count in found.pixels.items() if name and count), reverse=True)
    bar = "".join(f'<span style="flex:{share:.5f};background:{colours[name]}" title="{escape(name)}"></span>' for share, name in shares)
    words = "".join(
        f'<li><span class="swatch" style="background:{colours[name]}"></span>{escape(name)} <b>{_percent(share)}</b></li>'
        for share, name in shares
    )
    return f'<div class="shares-bar">{bar}</div><ul class="legend">{words}</ul>'


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.1f} %"


def _drop(elem_id: str) -> gr.File:
    return gr.File(
        label="ZIP of images and masks", show_label=False, file_types=[".zip"], height=80, interactive=True, elem_id=elem_id,
        elem_classes="small-drop masks-drop",
    )  # fmt: skip
