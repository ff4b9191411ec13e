"""Step 4 of the One-shot tab: segmenters trained on the source alone, and adapted with the one image or with what was generated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from core.adaptation.figures import NAMES
from core.adaptation.segment import SEGMENT_ARMS, TAUGHT, need_tests
from core.adaptation.segment_jobs import SegmentTask
from core.adaptation.segment_settings import PRESETS, SegmentSettings
from core.methods.datum_carry import CarrySettings
from core.types import ShiftlabError
from ui.forms import build_form
from ui.job_line import JobLine, start_update
from ui.oneshot_chain import Chain, Seen, Shelves, Updates, Values
from ui.oneshot_segment_show import SegmentFigures
from ui.oneshot_sets import SetsPart, sets_html, told_of
from ui.tune_watch import age

PRESET_NAMES = {"night": "Streets at night", "fog": "Streets in fog", "paper": "Paper: MiT at 512 px"}


class SegmentStep:
    """Components, handlers, and `show` for what changed."""

    def __init__(self, lab: Any, shelves: Shelves) -> None:
        self.lab, self.shelves = lab, shelves
        with gr.Row(elem_classes="workbench", visible=False) as self.column_of_step:
            with gr.Column(scale=0, min_width=300, elem_classes="controls"):
                self.sets = SetsPart(shelves)
                with gr.Column(elem_classes="card"):
                    self.arms = gr.CheckboxGroup(
                        [(NAMES[arm], arm) for arm in SEGMENT_ARMS], value=["source", *TAUGHT], label="Segmenters",
                        info="“The one image” is the control: copies and crops of it as the target. “Carried scenes” keep their labels.",
                        interactive=True, elem_id="oneshot-arms",
                    )  # fmt: skip
                with gr.Column(elem_classes="card run-card"):
                    self.start_button = gr.Button("Start", variant="primary", elem_id="oneshot-segment", elem_classes="in-card")
                    self.run = gr.Dropdown(
                        [], label="Run", visible=False, interactive=True, allow_custom_value=True, elem_id="oneshot-segment-run"
                    )
                    self.line = JobLine(lab, "oneshot-segment-job")
                with gr.Column(elem_classes="card"):
                    self.preset = gr.Dropdown(
                        [(PRESET_NAMES.get(name, name), name) for name in PRESETS], value=next(iter(PRESETS)), label="Preset",
                        interactive=True, filterable=False, elem_id="oneshot-segment-preset",
                    )  # fmt: skip
                    self.form = build_form(SegmentSettings, more="More", prefix="oneshot-segment-")
                with gr.Column(elem_classes="card"), gr.Accordion("Carried scenes", open=False, elem_classes="more"):
                    self.carry = build_form(CarrySettings, more="More", prefix="oneshot-carry-")
            with gr.Column(scale=1, min_width=300, elem_classes="stage"):
                self.figures = SegmentFigures()
                with gr.Column(elem_classes="card told-set"):
                    self.told = gr.HTML("", elem_id="oneshot-sets", elem_classes="plain")

    def inputs(self) -> set[Any]:
        return {self.arms, self.preset, self.run, *self.sets.inputs(), *self.form.inputs(), *self.carry.inputs(), *self.figures.inputs()}

    def outputs(self) -> list[Any]:
        return [
            self.arms, self.start_button, self.run, self.told, *self.sets.outputs(), *self.form.outputs(), *self.carry.outputs(),
            *self.line.outputs(), *self.figures.outputs(),
        ]  # fmt: skip

    # --- handlers -----------------------------------------------------------------------------------------------------------------

    def choose_preset(self, values: Values, seen: Seen) -> Updates:
        preset = PRESETS[values[self.preset]]
        return self._shown(SegmentSettings(**preset.segment), CarrySettings(**preset.carry))

    def start(self, values: Values, chain: Chain) -> None:
        """Puts the job into the queue, and shows it."""
        arms = tuple(arm for arm in SEGMENT_ARMS if arm in (values[self.arms] or []))
        source = self._source(chain)
        target = self.shelves.scenes.index(chain.target.id) if chain.target is not None else None
        self._check(arms, chain)
        if target is not None:
            need_tests(self.shelves.scenes.load(chain.target.id))
        task = SegmentTask(
            source=source, one_shot=chain.image if {"one_shot", "carried"} & set(arms) else None,
            images=chain.drawn if "generated" in arms else None, weights=chain.checkpoint[1] if "carried" in arms else None,
            target=target, arms=arms, settings=self.form.read(values), carry=self.carry.read(values),
        )  # fmt: skip
        name = f"{chain.source.name} → {chain.target.name if chain.target else chain.choices.name or 'target'}"
        self.shelves.shots.choose(segment=self.lab.start(task, name))

    def choose_run(self, values: Values, chain: Chain) -> None:
        if values[self.run]:
            self.shelves.shots.choose(segment=values[self.run])

    def _source(self, chain: Chain) -> Path:
        if chain.source is None:
            raise ShiftlabError("There is no source set yet. Draw the embedded streets, or drop a ZIP of images and masks.")
        return self.shelves.scenes.index_with_split(chain.source.id)

    def _check(self, arms: tuple[str, ...], chain: Chain) -> None:
        """Raises ShiftlabError for an arm that has nothing to learn from."""
        if not arms:
            raise ShiftlabError("No segmenter is chosen. Tick one at least.")
        if "one_shot" in arms or "carried" in arms:
            chain.need_image()
        if "carried" in arms and chain.checkpoint is None:
            raise ShiftlabError("Scenes are carried by a personalised model, and none is chosen. Personalise one in step 2, or untick it.")
        if "generated" in arms and chain.drawn is None:
            raise ShiftlabError("“Generated images” learns from a generated set, and there is none. Make one in step 3, or untick it.")
        if "target" in arms and (chain.target is None or not self.shelves.scenes.load(chain.target.id).split("train")):
            raise ShiftlabError("The oracle learns from labelled target scenes with a train split, and there are none. Untick it.")

    # --- what it shows ------------------------------------------------------------------------------------------------------------

    def show(self, chain: Chain, seen: Seen, values: Values) -> Updates:
        """What is not on the page yet."""
        job = chain.segment
        updates = {**self.sets.show(chain, seen), **self.line.show(job, seen), **self._runs(chain, seen)}
        if seen.new("sets told", (told_of(chain.source), told_of(chain.target))):
            updates |= {self.told: sets_html(self.shelves, chain)}
        if seen.new("segment form of", job and job.id):
            updates |= self._form(job)
        return {**updates, **self.figures.show(job, seen, values)}

    def _runs(self, chain: Chain, seen: Seen) -> Updates:
        choices = [(f"{job.name} · {age(job.created)}", job.id) for job in chain.segments]
        if not seen.new("segments", (choices, chain.choices.segment)):
            return {}
        shown = len(choices) > 1 or (bool(choices) and chain.segment is None)
        return {self.run: gr.update(choices=choices, value=chain.segment.id if chain.segment else None, visible=shown)}

    def _form(self, job: Any) -> Updates:
        """As the run that is shown was started."""
        if job is None:
            return {self.start_button: start_update(None)}
        carry = job.settings.get("carry", CarrySettings().model_dump())  # of a run from before there were any
        form = self._shown(job.settings["settings"], carry)
        return {**form, self.arms: job.settings["arms"], self.start_button: start_update(job)}

    def _shown(self, settings: Any, carry: Any) -> Updates:
        """Both forms with these settings in them."""
        parts = [*self.form.outputs(), *self.carry.outputs()]
        return dict(zip(parts, [*self.form.show(settings), *self.carry.show(carry)], strict=True))
