"""Step 2 of the One-shot tab: a text-to-image model learns the target image under a token."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import gradio as gr

from core.adaptation.oneshot_jobs import PersonaliseTask
from core.data.images import decode_image, whole_tensor
from core.methods.datum_batch import resized
from core.methods.datum_settings import DatumTune
from core.methods.datum_token import token_warning
from core.types import ShiftlabError
from ui.edit_show import alert
from ui.forms import Form, build_form
from ui.job_line import JobLine, nothing_yet, start_update
from ui.oneshot_chain import Chain, Seen, Shelves, Updates, Values
from ui.oneshot_checkpoint import CheckpointPicker
from ui.plots import loss_figure
from ui.tune_presets import tune_presets
from ui.tune_watch import age, samples_html

PRESETS = "oneshot"  # file of assets/presets
PLOT_SECONDS = 2.0  # between two figures of a job that runs
STORY = ("token", "instance_prompt")
NO_SAMPLES = (
    '<div class="blank tall"><b>Nothing is learned yet.</b> Press Start. Samples of the prompt appear here at every checkpoint, '
    "and you may close the page meanwhile.</div>"
)


class PersonaliseStep:
    """Components, handlers, and `show` for what changed."""

    def __init__(self, lab: Any, shelves: Shelves) -> None:
        self.lab, self.shelves = lab, shelves
        self.presets = tune_presets(PRESETS)
        first = next(iter(self.presets.values()))
        with gr.Row(elem_classes="workbench", visible=False) as self.column_of_step:
            with gr.Column(scale=0, min_width=300, elem_classes="controls"):
                with gr.Column(elem_classes="card"):
                    self.preset = gr.Dropdown(
                        list(self.presets), value=first.name, label="Preset", interactive=True, filterable=False, elem_id="oneshot-preset"
                    )
                    self.provenance = gr.HTML(first.html, elem_classes="under")
                    story = build_form(DatumTune, only=STORY, values=first.settings, prefix="oneshot-")
                    self.token_said = gr.HTML("", elem_id="oneshot-token-said", elem_classes="plain")
                with gr.Column(elem_classes="card run-card"):
                    self.start_button = gr.Button("Start", variant="primary", elem_id="oneshot-start", elem_classes="in-card")
                    self.run = gr.Dropdown(
                        [], label="Run", visible=False, interactive=True, allow_custom_value=True, elem_id="oneshot-run"
                    )
                    self.line = JobLine(lab, "oneshot-job")
                    self.save = gr.Button("Save now", size="sm", visible=False, elem_id="oneshot-save", elem_classes="in-card")
                with gr.Column(elem_classes="card"):
                    rest = build_form(DatumTune, leave_out=STORY, values=first.settings, prefix="oneshot-")
                self.form = Form(DatumTune, {**story.components, **rest.components})
            with gr.Column(scale=1, min_width=300, elem_classes="stage"):
                self.samples = gr.HTML(NO_SAMPLES, elem_id="oneshot-samples", elem_classes="plain card")
                with gr.Column(elem_classes="card use-card", visible=False) as self.use_card:
                    self.picker = CheckpointPicker(lab, shelves, "Use", "oneshot-use")
                    self.next = gr.Button(
                        "Next: generate", variant="primary", elem_id="oneshot-to-generate", elem_classes="in-card", scale=0
                    )
                with gr.Column(elem_classes="card curves", visible=False) as self.curves:
                    gr.HTML('<h2 class="heading">Loss</h2>', elem_classes="plain")
                    self.plot = gr.Plot(show_label=False, container=False, elem_id="oneshot-plot")

    def inputs(self) -> set[Any]:
        return {self.preset, self.run, self.picker.part, *self.form.inputs()}

    def outputs(self) -> list[Any]:
        return [
            self.preset, self.provenance, self.token_said, self.start_button, self.run, *self.line.outputs(), self.save, self.samples,
            self.use_card, self.picker.part, self.curves, self.plot, *self.form.outputs(),
        ]  # fmt: skip

    # --- handlers -----------------------------------------------------------------------------------------------------------------

    def choose_preset(self, values: Values, seen: Seen) -> Updates:
        preset = self.presets[values[self.preset]]
        shown = self.form.show({**DatumTune().model_dump(), **preset.settings})
        return {self.provenance: preset.html, self.token_said: "", **dict(zip(self.form.outputs(), shown, strict=True))}

    def check_token(self, values: Values, seen: Seen) -> Updates:
        """What the token would bring into the pictures."""
        return {self.token_said: token_html(self.lab, values[self.form.components["token"]] or "")}

    def start(self, values: Values, chain: Chain) -> None:
        """Checks what can be known before, and puts the job into the queue."""
        image, settings = chain.need_image(), self.form.read(values)
        model = self.lab.text_to_image()
        token_warning(settings.token, model.tokenizer)
        resized(whole_tensor(decode_image(image)), settings.short_side, model.image_size)
        task = PersonaliseTask(images=(image,), name=chain.choices.name, settings=settings)
        self.shelves.shots.choose(personalise=self.lab.start(task, f"{settings.token} = {chain.choices.name}"), step=0)

    def choose_run(self, values: Values, chain: Chain) -> None:
        """Another run, with the image that it learned."""
        job = next((job for job in chain.personalises if job.id == values[self.run]), None)
        if job is not None:
            image = Path(job.settings["images"][0]).name
            self.shelves.shots.choose(personalise=job.id, step=0, image=image, name=job.settings["name"])

    # --- what it shows ------------------------------------------------------------------------------------------------------------

    def show(self, chain: Chain, seen: Seen, values: Values) -> Updates:
        """What is not on the page yet."""
        job = chain.personalise
        updates = {**self.line.show(job, seen), **self.picker.show(chain, seen), **self._runs(chain, seen)}
        if seen.new("personalise form of", job and job.id):
            updates |= self._form(job)
        if seen.new("personalise state", job and job.state):
            updates |= {self.save: gr.update(visible=bool(job and job.state == "running"))}
        if seen.new("kept any", bool(chain.kept)):
            updates |= {self.use_card: gr.update(visible=bool(chain.kept))}
        return {**updates, **self._samples(job, seen), **self._loss(job, seen)}

    def _runs(self, chain: Chain, seen: Seen) -> Updates:
        choices = [(f"{job.name} · {age(job.created)}", job.id) for job in chain.personalises]
        if not seen.new("personalises", (choices, chain.choices.personalise)):
            return {}
        shown = len(choices) > 1 or (bool(choices) and chain.personalise is None)
        return {self.run: gr.update(choices=choices, value=chain.personalise.id if chain.personalise else None, visible=shown)}

    def _form(self, job: Any) -> Updates:
        """As the run that is shown was started."""
        if job is None:
            return {self.start_button: start_update(None)}
        settings = {name: job.settings["settings"][name] for name in DatumTune.model_fields if name in job.settings["settings"]}
        return {**dict(zip(self.form.outputs(), self.form.show(settings), strict=True)), self.start_button: start_update(job)}

    def _samples(self, job: Any, seen: Seen) -> Updates:
        strip = self.lab.sample_strip(job.id) if job else []
        if not seen.new("samples", (job and (job.id, job.live), len(strip), strip[-1][0] if strip else 0)):
            return {}
        return {self.samples: samples_html(strip, free=True) or nothing_yet(job, NO_SAMPLES)}

    def _loss(self, job: Any, seen: Seen) -> Updates:
        """The curve where there are newer rows; of a job that runs not more often than every PLOT_SECONDS."""
        if job is None:
            return {self.curves: gr.update(visible=False)} if seen.new("loss", None) else {}
        last = seen.plotted.get("loss", ("", 0.0))
        if job.live and last[0] == job.id and time.monotonic() - last[1] < PLOT_SECONDS:
            return {}
        rows = self.lab.events(job.id)
        if not seen.new("loss", (job.id, len(rows))):
            return {}
        seen.plotted["loss"] = (job.id, time.monotonic())
        there = any(row["phase"] == "train" for row in rows)
        return {self.curves: gr.update(visible=there), **({self.plot: loss_figure(rows, job.id)} if there else {})}


def token_html(lab: Any, token: str) -> str:
    """What speaks against a token, or that nothing does."""
    try:
        warning = token_warning(token.strip(), lab.text_to_image().tokenizer)
    except ShiftlabError as error:
        return alert(str(error))
    return alert(warning) if warning else f'<p class="help">“{token.strip()}” is one rare token without a meaning.</p>'
