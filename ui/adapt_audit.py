"""The label audit in step 3 of the Adapt tab: ask the witnesses, move the thresholds, drop or spare a picture by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from core.adaptation.audit import AUDIT, AuditSettings, voted
from core.adaptation.classify import classifier_file
from core.adaptation.decisions import Decisions, read_decisions
from core.adaptation.jobs import AuditTask, ClassifyTask
from core.jobs.sets import SetShelf
from core.types import ShiftlabError
from core.worlds.captions import ATTRIBUTE_PROMPTS
from ui.adapt_chain import Chain, Seen, Updates, Values
from ui.adapt_read import audit_table, index_of
from ui.adapt_set import target_index
from ui.forms import build_form
from ui.job_line import JobLine

HELP = (
    '<h2 class="heading">Label audit</h2><p class="help">Which pictures lost their label? A classifier that saw source pictures only, CLIP '
    "and the identity score each vote.</p>"
)


class AuditPart:
    """Components, handlers, and `show` for what changed."""

    def __init__(self, lab: Any, shelf: SetShelf) -> None:
        self.lab, self.shelf = lab, shelf
        with gr.Column(elem_classes="card audit", visible=False) as self.card:
            gr.HTML(HELP, elem_classes="plain")
            self.prompts = gr.Textbox(
                "", label="CLIP's prompts", info="A line a label: label = prompt. Empty: CLIP does not vote.", lines=2, max_lines=6,
                interactive=True, elem_id="adapt-prompts",
            )  # fmt: skip
            self.ask = gr.Button("Audit the labels", size="sm", elem_id="adapt-audit")
            self.line = JobLine(lab, "adapt-audit-job")
            with gr.Column(visible=False, elem_classes="method-form") as self.thresholds:
                self.form = build_form(AuditSettings, prefix="adapt-audit-")
                self.said = gr.HTML("", elem_id="adapt-audit-said", elem_classes="plain")

    def inputs(self) -> set[Any]:
        return {self.prompts, *self.form.inputs()}

    def outputs(self) -> list[Any]:
        return [self.card, self.prompts, self.ask, self.thresholds, self.said, *self.line.outputs(), *self.form.outputs()]

    # --- handlers -----------------------------------------------------------------------------------------------------------------

    def start(self, values: Values, chain: Chain) -> None:
        """Asks the witnesses; where no classifier was trained on source yet, that is done first."""
        out, entry, column = chain.adapted, chain.need_set(), chain.choices.column
        prompts = read_prompts(values[self.prompts] or "", index_of(chain.index).classes(column))
        found = next((job for job in self._comparisons(chain) if has_source(job)), None)
        if found is None:
            task = ClassifyTask(index=chain.index, adapted=out, column=column, arms=("source",), target=target_index(self.shelf, chain))
            found = self.lab.get(self.lab.start(task, f"{entry.name}: {column}, source only"))
        task = AuditTask(adapted=out, column=column, classifier=_source_file(found), prompts=prompts)
        self.lab.start(task, f"{entry.name}: audit of {column}")

    def move(self, values: Values, chain: Chain) -> None:
        """Other thresholds."""
        folder, _ = self.decided(chain)
        read_decisions(folder).model_copy(update={"settings": self.form.read(values)}).save(folder)

    def turn(self, name: str, chain: Chain) -> None:
        """One picture dropped, or kept again."""
        folder, table = self.decided(chain)
        read_decisions(folder).turned(name, table).save(folder)

    def decided(self, chain: Chain) -> tuple[Path, Any]:
        """(the audit's folder, its table). Raises ShiftlabError where there is none."""
        if chain.audit is None or chain.audit.state != "done":
            raise ShiftlabError("The labels are not audited yet. Start the audit first.")
        return Path(chain.audit.folder), audit_table(Path(chain.audit.folder) / AUDIT)

    def _comparisons(self, chain: Chain) -> list[Any]:
        of, column = str(chain.adapted), chain.choices.column
        jobs = [job for job in self.lab.list() if job.kind == "classify"]
        return [job for job in jobs if job.settings["adapted"] == of and job.settings["column"] == column]

    # --- what it shows ------------------------------------------------------------------------------------------------------------

    def show(self, chain: Chain, seen: Seen) -> Updates:
        """What is not on the page yet."""
        complete = chain.adapt is not None and chain.adapt.state == "done"
        updates: Updates = {self.card: gr.update(visible=complete)} if seen.new("audit card", complete) else {}
        if not complete:
            return updates
        updates |= self.line.show(self._under_way(chain), seen)
        if seen.new("audit prompts of", (chain.adapt.id, chain.choices.column)):
            updates |= {self.prompts: self._prompts(chain)}
        return {**updates, **self._thresholds(chain, seen)}

    def _under_way(self, chain: Chain) -> Any:
        """The audit; while it waits for a classifier, the job that trains that one."""
        audit = chain.audit
        if audit is None or audit.state != "queued":
            return audit
        return next((job for job in self._comparisons(chain) if job.live and str(_source_file(job)) == audit.settings["classifier"]), audit)

    def _thresholds(self, chain: Chain, seen: Seen) -> Updates:
        done = chain.audit is not None and chain.audit.state == "done"
        decided = read_decisions(Path(chain.audit.folder)) if done else Decisions()
        if not seen.new("audit", (chain.audit and chain.audit.id, done, decided)):
            return {}
        asks = "Audit again" if done else "Audit the labels"
        updates: Updates = {self.thresholds: gr.update(visible=done), self.ask: gr.update(value=asks)}
        if not done:
            return updates
        if seen.new("audit form of", chain.audit.id):
            updates |= dict(zip(self.form.outputs(), self.form.show(decided.settings), strict=True))
        return {**updates, self.said: said_html(decided, audit_table(Path(chain.audit.folder) / AUDIT))}

    def _prompts(self, chain: Chain) -> str:
        """Those of the last audit; for the embedded portraits, in the style of the edit's target."""
        if chain.audit is not None and chain.audit.settings["prompts"]:
            return "\n".join(f"{label} = {prompt}" for label, prompt in chain.audit.settings["prompts"].items())
        column = chain.choices.column
        if set(index_of(chain.index).classes(column)) != {"no", "yes"} or column not in ATTRIBUTE_PROMPTS:
            return ""
        style = self._target_prompt(chain).split(" of ")[0]
        prompts = [prompt.replace("a photo", style) if style else prompt for prompt in ATTRIBUTE_PROMPTS[column]]
        return "\n".join(f"{label} = {prompt}" for label, prompt in zip(("no", "yes"), prompts, strict=True))

    def _target_prompt(self, chain: Chain) -> str:
        cards = {entry.key: entry.card for entry in self.lab.edits()}
        first = next(iter(chain.adapt.settings["edits"]), "")
        return cards[first].target_prompt if first in cards else ""


def read_prompts(text: str, classes: list[str]) -> dict[str, str]:
    """"label = prompt" lines by label; none where there is no line. Raises ShiftlabError where a label's is missing."""
    pairs = [line.partition("=") for line in text.splitlines() if line.strip()]
    prompts = {label.strip(): prompt.strip() for label, _, prompt in pairs}
    if prompts and (set(prompts) != set(classes) or not all(prompts.values())):
        raise ShiftlabError(f"CLIP needs one line a label: {', '.join(f'{name} = …' for name in classes)}. Or leave the box empty.")
    return prompts


def said_html(decided: Decisions, table: Any) -> str:
    """How many are suspicious, dropped and spared."""
    marked = voted(table, decided.settings)
    by_votes = marked["votes"].value_counts().sort_index(ascending=False)
    votes = ", ".join(f"{count:,} with {number} vote{'s' if number != 1 else ''}" for number, count in by_votes.items() if number)
    hand = f"; by hand {len(decided.by_hand)} more dropped, {len(decided.spared)} spared" if decided.by_hand or decided.spared else ""
    return (
        f'<p class="estimate"><b>{len(decided.names(table)):,}</b> of {len(table):,} are dropped in the arm “audited”{hand}. '
        f'{f"Against them: {votes}." if votes else "Nobody speaks against any."}</p>'
    )


def has_source(job: Any) -> bool:
    """Whether a comparison has a classifier trained on source, or will have one."""
    return _source_file(job).is_file() or (job.live and "source" in job.settings["arms"])


def _source_file(job: Any) -> Path:
    return classifier_file(Path(job.folder), "source", int(job.settings["settings"]["seed"]))
