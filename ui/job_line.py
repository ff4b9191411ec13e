"""One job of a step: its line of progress, with Cancel and Resume where they can be pressed."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import gradio as gr

from ui.rail import PILLS, job_facts, job_state
from ui.told import Told, Updates, Values
from ui.tune_watch import age

UNDER_WAY = (
    '<div class="blank tall"><b>It is under way.</b> What comes of it appears here as it is made. You may close the page meanwhile.</div>'
)


class JobLine:
    """prefix: of the elem_ids."""

    def __init__(self, lab: Any, prefix: str) -> None:
        self.lab, self._name, self._id = lab, f"{prefix} job", f"{prefix} job's id"
        self.html = gr.HTML("", elem_id=f"{prefix}-progress", elem_classes="plain")
        with gr.Row(elem_classes="job-buttons", visible=False) as self.row:
            self.cancel = gr.Button("Cancel", size="sm", min_width=80, scale=0, visible=False, elem_id=f"{prefix}-cancel")
            self.resume = gr.Button("Resume", size="sm", min_width=80, scale=0, visible=False, elem_id=f"{prefix}-resume")

    def outputs(self) -> list[Any]:
        return [self.html, self.row, self.cancel, self.resume]

    def read(self, values: Values, seen: Told) -> None:
        """Notes what the page shows, where `values` has it: what an older answer has painted over is told again."""
        if self.html in values:
            seen.shows(self._name, values[self.html] or "")

    def show(self, job: Any, seen: Told) -> Updates:
        """What is not on the page yet."""
        html = line_html(job) if job else ""
        if not seen.new(self._name, html):
            return {}
        seen.told[self._id] = job.id if job else ""
        state = job.state if job else ""
        stoppable, resumable = state in ("queued", "running"), bool(job and job.resumable)
        return {
            self.html: html,
            self.row: gr.update(visible=stoppable or resumable),
            self.cancel: gr.update(visible=stoppable),
            self.resume: gr.update(visible=resumable),
        }

    def asks(self, what: Callable[[str], None]) -> Callable[[Values, Told], None]:
        """A handler that asks the lab for something about the job shown, also where a newer one has come meanwhile."""

        def doing(values: Values, seen: Told) -> None:
            what(seen.told.get(self._id, ""))

        return doing


def start_update(job: Any) -> Updates:
    """The button that starts a step: the chief one, until there is a run to go on with."""
    return gr.update(value="Start anew", variant="secondary") if job else gr.update(value="Start", variant="primary")


def nothing_yet(job: Any, empty: str) -> str:
    """What stands where results will: `empty` says how to begin, unless something has begun."""
    return UNDER_WAY if job is not None and job.live else empty


def line_html(job: Any) -> str:
    """State, how far, how fast, how long; a bar; and a sentence where there is one to say."""
    state = job_state(job)
    facts = job_facts(job) if job.state != "done" else [f"{job.total:,} of {job.total:,}", f"ended {age(job.finished or job.created)}"]
    share = 100 * job.step / job.total if job.total else 100 * (job.state == "done")
    tone = "message bad" if state in ("failed", "stopped") else "message"
    message = f'<p class="{tone}">{escape(job.message)}</p>' if job.message else ""
    return (
        f'<div class="job is-{job.state}" data-run="{escape(job.id)}"><div class="job-head"><b>{escape(job.name)}</b>'
        f'<span class="pill is-{PILLS[state]}">{state}</span><span class="told">{" · ".join(facts)}</span></div>'
        f'<div class="job-bar" role="progressbar" aria-valuenow="{share:.0f}" '
        f'aria-valuemin="0" aria-valuemax="100" aria-label="progress"><span style="width:{share:.1f}%"></span></div>{message}</div>'
    )
