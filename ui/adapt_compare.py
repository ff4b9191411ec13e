"""Step 4 of the Adapt tab: classifiers trained on source, adapted and other pictures, their curves, and whether they truly differ."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import gradio as gr

from core.adaptation.classifier import ClassifierSettings
from core.adaptation.classify import ARMS
from core.adaptation.figures import NAMES, curves_figure
from core.adaptation.jobs import ClassifyTask
from core.adaptation.results import curves
from core.jobs.sets import SetShelf
from core.types import ShiftlabError
from ui.adapt_chain import Chain, Seen, Updates, Values
from ui.adapt_read import index_of, tables_of
from ui.adapt_set import target_index
from ui.adapt_tables import PUBLISHED_HTML, tables_html
from ui.forms import build_form
from ui.job_line import JobLine, start_update

PLOT_SECONDS = 2.0  # between two figures of a job that runs
ACCURACY, LOSS = "accuracy", "loss"
NO_CURVES = (
    '<div class="blank tall"><b>No classifier yet.</b> Choose what they learn from and press Start. The curves grow here, epoch by epoch.'
    "</div>"
)


class CompareStep:
    """Components, handlers, and `show` for what changed."""

    def __init__(self, lab: Any, shelf: SetShelf) -> None:
        self.lab, self.shelf = lab, shelf
        with gr.Row(elem_classes="workbench", visible=False) as self.column_of_step:
            with gr.Column(scale=0, min_width=300, elem_classes="controls"):
                with gr.Column(elem_classes="card"):
                    self.arms = gr.CheckboxGroup(
                        [(NAMES[arm], arm) for arm in ARMS], value=["source", "adapted"], label="Train on", interactive=True,
                        info="“Audited” needs an audit that drops something; the oracle needs true target pictures.", elem_id="adapt-arms",
                    )  # fmt: skip
                with gr.Column(elem_classes="card"):
                    self.form = build_form(ClassifierSettings, more="More", prefix="adapt-classifier-")
                with gr.Column(elem_classes="card run-card"):
                    self.start_button = gr.Button("Start", variant="primary", elem_id="adapt-classify")
                    self.line = JobLine(lab, "adapt-classify-job")
                self.next = gr.Button("Next: the report", variant="primary", visible=False, elem_id="adapt-to-report")
            with gr.Column(scale=1, min_width=300, elem_classes="stage"):
                self.empty = gr.HTML(NO_CURVES, elem_id="adapt-no-curves", elem_classes="plain card")
                with gr.Column(elem_classes="card curves", visible=False) as self.card:
                    with gr.Row(elem_classes="watch-row"):
                        gr.HTML('<h2 class="heading">Curves</h2>', elem_classes="plain")
                        self.metric = gr.Radio(
                            [ACCURACY, LOSS], value=ACCURACY, label="Curve", show_label=False, container=False, interactive=True,
                            elem_id="adapt-metric",
                        )  # fmt: skip
                    self.plot = gr.Plot(show_label=False, container=False, elem_id="adapt-plot")
                with gr.Column(elem_classes="card told-set", visible=False) as self.tables_card:
                    self.tables = gr.HTML("", elem_id="adapt-tables", elem_classes="plain")
                    gr.HTML(PUBLISHED_HTML, elem_id="adapt-published", elem_classes="plain")

    def inputs(self) -> set[Any]:
        return {self.arms, self.metric, *self.form.inputs()}

    def outputs(self) -> list[Any]:
        parts = [self.arms, self.start_button, self.next, self.empty, self.card, self.plot, self.tables_card, self.tables]
        return [*parts, *self.line.outputs(), *self.form.outputs()]

    # --- handlers -----------------------------------------------------------------------------------------------------------------

    def start(self, values: Values, chain: Chain) -> None:
        """Puts the comparison into the queue; what the one before has finished is taken over."""
        entry, out, column = chain.need_set(), chain.adapted, chain.choices.column
        arms = tuple(arm for arm in ARMS if arm in (values[self.arms] or []))
        target = target_index(self.shelf, chain)
        if not arms:
            raise ShiftlabError("Nothing is chosen to train on. Tick one at least.")
        if "audited" in arms and not chain.dropped:
            raise ShiftlabError("The audit dropped no picture, so “audited” would be the same as “adapted”. Audit in step 3, or untick it.")
        if "target" in arms and (target is None or not index_of(target).split("train")):
            raise ShiftlabError("The oracle learns from true target pictures, and there are none. Choose some in step 1, or untick it.")
        task = ClassifyTask(
            index=chain.index, adapted=out, column=column, arms=arms, target=target, dropped=chain.dropped if "audited" in arms else (),
            settings=self.form.read(values), earlier=Path(chain.classify.folder) if chain.classify else None,
        )  # fmt: skip
        self.lab.start(task, f"{entry.name}: {column}")

    # --- what it shows ------------------------------------------------------------------------------------------------------------

    def show(self, chain: Chain, seen: Seen, metric: str) -> Updates:
        """What is not on the page yet."""
        job = chain.classify
        updates = self.line.show(job, seen)
        if seen.new("comparison of", job and job.id):
            updates |= self._form(chain)
        if seen.new("arms", (job and job.id, bool(chain.dropped), bool(chain.choices.target))):
            updates |= self._arms(chain)
        return {**updates, **self._curves(job, seen, metric), **self._tables(job, seen)}

    def _form(self, chain: Chain) -> Updates:
        """As the comparison that is shown was started."""
        job = chain.classify
        settings = ClassifierSettings(**job.settings["settings"]) if job else ClassifierSettings()
        shown = dict(zip(self.form.outputs(), self.form.show(settings), strict=True))
        return {**shown, self.start_button: start_update(job)}

    def _arms(self, chain: Chain) -> Updates:
        """What was trained already, and everything that there are pictures for."""
        before = chain.classify.settings["arms"] if chain.classify else []
        possible = ["source", "adapted", *(["audited"] if chain.dropped else []), *(["target"] if chain.choices.target else [])]
        return {self.arms: gr.update(value=[arm for arm in ARMS if arm in possible or (arm == "both" and arm in before)])}

    def _curves(self, job: Any, seen: Seen, metric: str) -> Updates:
        """The figure where there are newer epochs; of a job that runs not more often than every PLOT_SECONDS."""
        if job is None:
            hidden = {self.card: gr.update(visible=False), self.empty: gr.update(visible=True)}
            return hidden if seen.new("curves", None) else {}
        if job.live and seen.plotted[:2] == (job.id, metric) and time.monotonic() - seen.plotted[2] < PLOT_SECONDS:
            return {}
        table = curves(Path(job.folder))
        if not seen.new("curves", (job.id, metric, len(table))):
            return {}
        seen.plotted = (job.id, metric, time.monotonic())
        shown = {self.card: gr.update(visible=len(table) > 0), self.empty: gr.update(visible=not len(table))}
        return {**shown, **({self.plot: curves_figure(table, f"{job.id} {metric}", metric)} if len(table) else {})}

    def _tables(self, job: Any, seen: Seen) -> Updates:
        found = tables_of(Path(job.folder)) if job else None
        there = found is not None and len(found[0]) > 0
        if not seen.new("tables", (job and (job.id, job.state), int(found[0]["seeds"].sum()) if there else 0)):
            return {}
        shown = {self.tables_card: gr.update(visible=there), self.next: gr.update(visible=bool(there and job.state == "done"))}
        return {**shown, self.tables: tables_html(*found) if there else ""}
