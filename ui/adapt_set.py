"""Step 1 of the Adapt tab: which labelled set, which of its columns, which split, and where there are any, true pictures of the target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from core.data.labelled_split import given_parts
from core.jobs.sets import Drawn, SetEntry, SetShelf
from core.types import ShiftlabError
from ui.adapt_chain import Chain, Seen, Updates, Values
from ui.adapt_read import index_of
from ui.adapt_set_show import NO_SET, reading_html, set_html
from ui.adapt_shares import SharesPart
from ui.edit_show import alert
from ui.read_again import again_button, again_update
from ui.tune_targets import EXAMPLES
from ui.tune_targets import SET as OWN_SET

SOURCE_SEED, TARGET_SEED = 970_001, 980_001  # people whom no recipe and no other set of the lab draws
PORTRAITS, MOST = 1200, 20_000
NONE, DRAW = "", "draw:"
PEOPLE = {"": "everybody", "glasses": "without glasses", "smiling": "not smiling", "old": "young"}
TARGETS = {key: drawn for key, drawn in EXAMPLES.items() if key not in ("limited", "few", OWN_SET)}


class SetStep:
    """Components, handlers `(values, seen)`, and `show` for what changed."""

    def __init__(self, lab: Any, shelf: SetShelf) -> None:
        self.lab, self.shelf = lab, shelf
        with gr.Row(elem_classes="workbench") as self.column_of_step:
            with gr.Column(scale=0, min_width=300, elem_classes="controls"):
                self._build_source()
                with gr.Column(visible=False, elem_classes="later") as self.later:  # once there is a set
                    self._build_column()
                    self._build_target()
                    self.shares = SharesPart(lab, shelf)
                    self.next = gr.Button("Next: the edit", variant="primary", elem_id="adapt-to-edit")
            with gr.Column(scale=1, min_width=300, elem_classes="stage"):
                with gr.Column(elem_classes="card told-set"):
                    self.told = gr.HTML(NO_SET, elem_id="adapt-set-told", elem_classes="plain")
                    self.again = again_button("adapt-read-again")
                    self.told_target = gr.HTML("", elem_id="adapt-target-told", elem_classes="plain")
                    self.target_again = again_button("adapt-read-target-again")
                self.shares.build_result()

    def _build_source(self) -> None:
        with gr.Column(elem_classes="card"):
            self.pick = gr.Dropdown(
                [], label="Labelled set", visible=False, interactive=True, allow_custom_value=True, elem_id="adapt-pick"
            )
            self.drop = _drop("ZIP of labelled pictures", "adapt-drop")
            with gr.Row(elem_classes="pair draw-row"):
                self.count = gr.Number(
                    PORTRAITS, label="Or portraits", precision=0, minimum=4, maximum=MOST, interactive=True, elem_id="adapt-count",
                    min_width=90,
                )  # fmt: skip
                self.people = gr.Dropdown(
                    [(words, key) for key, words in PEOPLE.items()], value="", label="Who", interactive=True, filterable=False,
                    elem_id="adapt-people", min_width=150,
                )  # fmt: skip
            self.draw = gr.Button("Draw them", size="sm", elem_id="adapt-draw")

    def _build_column(self) -> None:
        with gr.Column(elem_classes="card"):
            self.label = gr.Dropdown(
                [], label="Label", info="What the classifiers learn to tell.", interactive=True, allow_custom_value=True,
                elem_id="adapt-label",
            )  # fmt: skip
            with gr.Accordion("Split", open=False, elem_classes="more"):
                self.split_said = gr.HTML("", elem_classes="plain")
                self.validation = gr.Slider(0, 0.5, 0.1, step=0.05, label="Validation share", interactive=True, elem_id="adapt-validation")
                self.test = gr.Slider(0.05, 0.6, 0.2, step=0.05, label="Test share", interactive=True, elem_id="adapt-test")
                self.split_seed = gr.Number(
                    0, label="Split seed", precision=0, minimum=0, maximum=2**31 - 1, interactive=True, elem_id="adapt-split-seed"
                )

    def _build_target(self) -> None:
        with gr.Column(elem_classes="card"):
            self.target = gr.Dropdown(
                [("None", NONE)], value=NONE, label="True target pictures", interactive=True, allow_custom_value=True,
                info="Labelled alike, by other means than an edit. They make the honest test, and the oracle.", elem_id="adapt-target",
            )  # fmt: skip
            self.target_drop = _drop("ZIP of true target pictures", "adapt-target-drop")

    def inputs(self) -> set[Any]:
        return {
            self.pick, self.drop, self.count, self.people, self.label, self.validation, self.test, self.split_seed, self.target,
            self.target_drop, *self.shares.inputs(),
        }  # fmt: skip

    def outputs(self) -> list[Any]:
        return [
            self.pick, self.drop, self.label, self.split_said, self.validation, self.test, self.split_seed, self.target, self.target_drop,
            self.told, self.told_target, self.again, self.target_again, self.later, *self.shares.outputs(),
        ]  # fmt: skip

    # --- handlers -----------------------------------------------------------------------------------------------------------------

    def choose(self, values: Values, seen: Seen) -> None:
        _open(seen, values[self.pick] or "")
        if self._ready(seen.set):
            self.shelf.choose(seen.set)  # the set that the next page opens with

    def upload(self, values: Values, seen: Seen) -> Updates:
        _open(seen, self._bring(values[self.drop]))
        return {self.drop: None}

    def draw_portraits(self, values: Values, seen: Seen) -> None:
        count, kept = int(values[self.count] or PORTRAITS), values[self.people] or ""
        drawn = Drawn(count=count, domain="photo", size=self._size(), seed=SOURCE_SEED, attributes={kept: False} if kept else {})
        of = f", {PEOPLE[kept]}" if kept else ""
        _open(seen, self.shelf.draw(drawn, f"{count:,} portraits{of}"))

    def read_again(self, values: Values, seen: Seen) -> None:
        self.shelf.read_again(seen.set)

    def read_target_again(self, values: Values, seen: Seen) -> None:
        self._need(seen)
        self.shelf.read_again(self.shelf.choices(seen.set).target)

    def choose_column(self, values: Values, seen: Seen) -> None:
        self._need(seen)
        self.shelf.choose(seen.set, column=values[self.label])

    def choose_split(self, values: Values, seen: Seen) -> None:
        """Kept only where it can be drawn."""
        self._need(seen)
        how = {"validation": values[self.validation], "test": values[self.test], "split_seed": int(values[self.split_seed] or 0)}
        self.shelf.split_index(seen.set, self.shelf.choices(seen.set).model_copy(update=how))
        self.shelf.choose(seen.set, **how)

    def choose_target(self, values: Values, seen: Seen) -> None:
        """A set, or one that is drawn now: as many other people."""
        self._need(seen)
        chosen = values[self.target] or NONE
        if chosen.startswith(DRAW):
            drawn, count = TARGETS[chosen.removeprefix(DRAW)], len(self.shelf.load(seen.set))
            whole = Drawn(count=count, domain=drawn.domain, size=self._size(), seed=TARGET_SEED, attributes=drawn.attributes)
            chosen = self.shelf.draw(whole, f"{count:,} {drawn.title}")
        self.shelf.choose(seen.set, target=chosen)

    def upload_target(self, values: Values, seen: Seen) -> Updates:
        self._need(seen)
        self.shelf.choose(seen.set, target=self._bring(values[self.target_drop]))
        return {self.target_drop: None}

    def _bring(self, path: str | None) -> str:
        if not path:
            raise ShiftlabError("No file came. Drop a ZIP of labelled pictures.")
        return self.shelf.bring(Path(path), Path(path).stem)

    def _size(self) -> int:
        if self.lab.base is None:
            raise ShiftlabError("No base is loaded, so nobody knows how large to draw. The line at the top says why.")
        return self.lab.base.image_size

    def _ready(self, id: str) -> bool:
        entry = self.shelf.entry(id)
        return entry is not None and entry.ready

    def _need(self, seen: Seen) -> None:
        if not self._ready(seen.set):
            raise ShiftlabError("No set is read yet. Choose one first.")

    # --- what it shows ------------------------------------------------------------------------------------------------------------

    def show(self, chain: Chain, seen: Seen) -> Updates:
        """What is not on the page yet."""
        entries = self.shelf.entries()
        target = next((entry for entry in entries if entry.id == chain.choices.target), None)
        told = {**self._lists(entries, chain, seen), **self._set(chain, seen), **self._target(chain, target, seen)}
        return {**told, **self.shares.show(chain, seen)}

    def _lists(self, entries: list[SetEntry], chain: Chain, seen: Seen) -> Updates:
        names = [(entry.name, entry.id) for entry in entries]
        if not seen.new("sets", (names, seen.set, chain.choices.target)):
            return {}
        drawn = [(f"Draw {drawn.title}", DRAW + key) for key, drawn in TARGETS.items()]
        others = [pair for pair in names if pair[1] != seen.set]
        return {
            self.pick: gr.update(choices=names, value=seen.set or None, visible=bool(names)),
            self.target: gr.update(choices=[("None", NONE), *others, *drawn], value=chain.choices.target),
        }

    def _set(self, chain: Chain, seen: Seen) -> Updates:
        entry, chosen = chain.entry, chain.choices
        how = (chosen.column, chosen.validation, chosen.test, chosen.split_seed)
        if not seen.new("set", (entry, how)):
            return {}
        if entry is None or not entry.ready or chain.index is None:
            hidden = {self.again: again_update(entry), self.later: gr.update(visible=False)}
            return {self.told: reading_html(entry) if entry else NO_SET, **hidden}
        given = given_parts(self.shelf.load(entry.id))
        return {
            self.told: set_html(entry.name, chain.index, chosen.column),
            self.again: again_update(entry),
            self.later: gr.update(visible=True),
            self.label: gr.update(choices=list(index_of(chain.index).columns), value=chosen.column),
            self.split_said: f'<p class="help">{_split_words(given)}</p>',
            self.validation: gr.update(value=chosen.validation, visible="validation" not in given),
            self.test: gr.update(value=chosen.test, visible="test" not in given),
            self.split_seed: gr.update(value=chosen.split_seed, visible=len(given) < 2),
        }

    def _target(self, chain: Chain, target: SetEntry | None, seen: Seen) -> Updates:
        if not seen.new("target", (target, chain.choices.column, chain.index)):
            return {}
        return {self.told_target: self._told_target(chain, target), self.target_again: again_update(target)}

    def _told_target(self, chain: Chain, target: SetEntry | None) -> str:
        if target is None:
            return ""
        if not target.ready:
            return reading_html(target)
        try:
            index = target_index(self.shelf, chain)
        except ShiftlabError as error:
            return alert(str(error))
        return set_html(f"Target: {target.name}", index, chain.choices.column) if index else ""


def target_index(shelf: SetShelf, chain: Chain) -> Path | None:
    """The index of the true target pictures, split as the set is; None where none are chosen. Raises ShiftlabError where they lack the
    label or are not read yet.
    """
    if not chain.choices.target:
        return None
    shelf.load(chain.choices.target).column(chain.choices.column)
    return shelf.split_index(chain.choices.target, chain.choices)


def _split_words(given: tuple[str, ...]) -> str:
    """What the set gave of its split, and what was drawn. given: see `given_parts`."""
    if len(given) > 1:
        return "The set gives its split itself."
    if given:
        missing = "test" if given == ("validation",) else "validation"
        return f"The set gives its {given[0]} pictures itself; those for {missing} are drawn, every class in its own proportion."
    return "Drawn by the seed, every class in its own proportion."


def _open(seen: Seen, id: str) -> None:
    """Another set: everything about it is told anew."""
    seen.__init__(set=id, step=seen.step, edit=seen.edit)


def _drop(label: str, elem_id: str) -> gr.File:
    return gr.File(
        label=label, show_label=False, file_types=[".zip"], type="filepath", height=96, elem_id=elem_id, elem_classes="drop small-drop"
    )
