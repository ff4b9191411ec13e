"""What the Runs tab shows: the list, one run in full, two side by side. Only HTML is made here."""

from __future__ import annotations

import time
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from core.adaptation.jobs import ADAPTED
from core.adaptation.oneshot_jobs import GENERATED, PersonaliseTask
from core.jobs.export import card_of
from core.jobs.progress import duration
from ui.forms import label_of
from ui.methods import about
from ui.tune_watch import STATES, age, data_uri, pill, samples_html

ALL = "all"
STATE_CHOICES = [("every state", ALL), *((word, state) for state, word in STATES.items())]
SCORES = {"s_dir": "S_dir", "identity": "identity", "lpips": "LPIPS", "psnr": "PSNR", "ssim": "SSIM"}
NO_RUNS = (
    '<div class="blank tall"><b>Nothing has run yet.</b> Every fine-tuning that you start on the Tune tab stands here for good, '
    "with its settings, its samples and what it scored.</div>"
)
NO_MATCH = '<div class="blank">No run matches. Change the words or the state above.</div>'


def matching(jobs: Iterable[Any], words: str, state: str) -> list[Any]:
    """Runs in a state in whose name, method, id or prompts every word occurs."""
    wanted = words.casefold().split()

    def text(job: Any) -> str:
        return " ".join([job.name, job.method, job.id, *(str(value) for value in job.settings.values())]).casefold()

    return [job for job in jobs if state in (ALL, job.state) and all(word in text(job) for word in wanted)]


def list_html(lab: Any, jobs: list[Any], chosen: str) -> str:
    """One button a run. A click is told to the page by its data-id."""
    return '<div class="runs">' + "".join(_entry_html(lab, job, job.id == chosen) for job in jobs) + "</div>"


def _entry_html(lab: Any, job: Any, chosen: bool) -> str:
    picture = last_picture(lab, job)
    image = f'<img src="{picture}" alt="">' if picture else '<span class="no-image"></span>'
    target = job.settings.get("target_prompt", "")
    return (
        f'<button type="button" class="run" data-id="{escape(job.id)}" aria-pressed="{str(chosen).lower()}">{image}'
        f'<span class="run-text"><b>{escape(job.name)}</b><span class="run-target">{escape(target)}</span>'
        f'<span class="run-facts">{pill(job.state)}<span>{_progress(job)}</span></span></span></button>'
    )


def _progress(job: Any) -> str:
    if job.state == "running" and job.total:
        return f"{job.step} of {job.total}"
    return age(job.created)


def last_picture(lab: Any, job: Any) -> str:
    """The newest first sample, else the first picture of a set that the run made, as a data URI; empty where nothing was drawn."""
    strip = lab.sample_strip(job.id)
    path = strip[-1][1][0] if strip and strip[-1][1] else _first_made(job.folder)
    if path is None:
        return ""
    return data_uri(str(path), path.stat().st_mtime_ns if path.is_file() else 0)


def _first_made(folder: Path) -> Path | None:
    """Whichever comes first: a set may have 100,000."""
    return next((picture for made in (GENERATED, ADAPTED) for picture in (folder / made).rglob("*.png")), None)


def run_html(lab: Any, job: Any) -> str:
    """One run in full: state and message, scores, samples, settings."""
    tone = "message bad" if job.state in ("failed", "interrupted") else "message"
    message = f'<p class="{tone}">{escape(job.message)}</p>' if job.message else ""
    facts = " · ".join([f"<span>{word}</span>" for word in _facts(job)])
    head = f'<div class="job-head"><b>{escape(job.name)}</b>{pill(job.state)}</div><p class="help">{facts}</p>{message}'
    return f'<div class="job">{head}</div>{_scores_html(job)}{_samples(job, lab.sample_strip(job.id))}{_settings_html(lab, [job])}'


def compare_html(lab: Any, one: Any, other: Any) -> str:
    """Two runs side by side, and below their settings, what differs first."""
    halves = "".join(f'<section>{_half_html(lab, job)}</section>' for job in (one, other))
    return f'<div class="halves">{halves}</div>{_settings_html(lab, [one, other])}'


def _half_html(lab: Any, job: Any) -> str:
    strip = lab.sample_strip(job.id)
    last = [strip[0], strip[-1]] if len(strip) > 1 else strip
    return f'<div class="job-head"><b>{escape(job.name)}</b>{pill(job.state)}</div>{_scores_html(job)}{_samples(job, last)}'


def _samples(job: Any, strip: list[tuple[int, list[Path]]]) -> str:
    return samples_html(strip, free=job.kind == PersonaliseTask.kind or about(job.method).learns == "target")


def _facts(job: Any) -> list[str]:
    facts = [escape(job.method), f"begun {age(job.created)}"]
    if job.finished:
        facts.append(f"{duration(job.finished - job.created)} until its end")
    elif job.state == "running":
        facts.append(f"for {duration(time.time() - job.created)}")
    if job.total:
        facts.append(f"step {job.step} of {job.total}")
    return [*facts, f'<code>{escape(job.id)}</code>']


def _scores_html(job: Any) -> str:
    """What the edit's card says was measured; on the page's order first, then whatever else there is."""
    card = card_of(job) if job.state == "done" else None
    metrics = (card or {}).get("metrics", {})
    if not metrics:
        return ""
    names = [*(name for name in SCORES if name in metrics), *(name for name in metrics if name not in SCORES)]
    cells = "".join(f"<div><dt>{escape(SCORES.get(name, name.replace('_', ' ')))}</dt><dd>{metrics[name]:.3g}</dd></div>" for name in names)
    return f'<dl class="numbers run-scores">{cells}</dl>'


def _settings_html(lab: Any, jobs: list[Any]) -> str:
    """A table of settings by their titles; with two runs a named column each, and the rows that differ first and marked."""
    names = list(dict.fromkeys(name for job in jobs for name in job.settings))
    values = {name: [_value(job.settings.get(name, "")) for job in jobs] for name in names}
    differing = [name for name in names if len(set(values[name])) > 1]
    rows = "".join(_row_html(_title(lab, jobs[0].method, name), values[name], True) for name in differing)
    rows += "".join(_row_html(_title(lab, jobs[0].method, name), values[name], False) for name in names if name not in differing)
    if len(jobs) == 1:
        return f'<details class="settings"><summary>Settings</summary><table>{rows}</table></details>'
    head = "<thead><tr><th></th>" + "".join(f"<td>{escape(job.name)}</td>" for job in jobs) + "</tr></thead>"
    return f'<details class="settings" open><summary>Settings</summary><table>{head}{rows}</table></details>'


def _row_html(title: str, values: list[str], differs: bool) -> str:
    cells = "".join(f"<td>{escape(value)}</td>" for value in values)
    return f'<tr{" class=differs" if differs else ""}><th scope="row">{escape(title)}</th>{cells}</tr>'


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _title(lab: Any, method: str, name: str) -> str:
    known = lab.methods.get(method)
    field = known.train_settings.model_fields.get(name) if known else None
    return label_of(name, field) if field else name.replace("_", " ")
