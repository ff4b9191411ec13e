"""What the Models tab shows: those that are loaded, all that can be, and what a file was found to be. Only HTML is made here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from core.jobs.fetch import Fetch
from core.models.facts import Facts, bytes_of
from core.models.shelf import EMBEDDED, Loaded
from core.models.zoo import Installed, ZooEntry, entry_of, in_mirror

TITLES = {"base": "Base", "clip": "CLIP", "identity": "Identity", "text_to_image": "Text to image"}
EMBEDDED_SHOWS = {"text_to_image": "drawn streets and portraits"}  # and the others drawn portraits
GROUPS = {"base": "Bases", "clip": "CLIP models", "identity": "Identity encoders", "text_to_image": "Text-to-image models"}


@dataclass(frozen=True)
class Line:
    """One model of the list. own: it lies in the home, so that it can be looked into and removed.

    state: "in use", "here", "running", "stopped", "failed", "absent", or "missing" where the folder in the hub's place lacks it.
    """

    kind: str
    name: str
    title: str
    about: str
    note: str = ""
    state: str = "absent"
    own: bool = False
    fetch: Fetch | None = None
    source: str = ""
    size: str = ""


def lines(
    models: Iterable[Loaded], table: Iterable[ZooEntry], here: Iterable[Installed], fetches: Iterable[Fetch], mirror: Path | None = None
) -> list[Line]:
    """The embedded models, then the table's and others that were asked for by name, then those that were imported.

    mirror: the folder that stands in for the hub.
    """
    used = {loaded.kind: loaded for loaded in models}
    found, asked = {model.name: model for model in here}, {entry_of(fetch.name).name: fetch for fetch in fetches}
    entries = {entry.name: entry for entry in [*table, *(entry_of(fetch.name) for fetch in asked.values())]}
    own = [_embedded(loaded) for loaded in used.values()]
    listed = {name: entry for name, entry in entries.items() if entry.kind in used}  # others (MiT) are chosen where they are used
    known = [_known(entry, used[entry.kind], found.get(name), asked.get(name), mirror) for name, entry in listed.items()]
    brought = [_brought(model, used[model.kind]) for name, model in found.items() if name not in entries and model.kind in used]
    return own + known + brought


def _embedded(used: Loaded) -> Line:
    shows = EMBEDDED_SHOWS.get(used.kind, "drawn portraits")
    return Line(used.kind, EMBEDDED, "The lab's own", f"embedded · {shows}", state="in use" if used.embedded else "here")


def _known(entry: ZooEntry, used: Loaded, model: Installed | None, fetch: Fetch | None, mirror: Path | None) -> Line:
    mirrored = None if model else in_mirror(entry, mirror)
    place = model.folder if model else mirrored
    weight = size(bytes_of(place) if place else (entry.megabytes or 0) * 1e6)
    facts = [_pixels(entry.image_size), entry.domain, weight, "in the hub's folder" if mirrored else ""]
    about = _joined([_source(entry.source), entry.licence, *facts])
    state = _state(used, place, fetch)
    if mirror and state == "absent":
        state = "missing"
    name = fetch.name if fetch and not model else entry.name  # by which it can be asked for again
    return Line(entry.kind, name, entry.title, about, entry.note, state, model is not None, fetch, _source(entry.source), weight)


def _brought(model: Installed, used: Loaded) -> Line:
    card = model.card
    about = _joined([_origin(card.get("source")), _pixels(card.get("image_size")), card.get("domain"), size(model.bytes)])
    return Line(model.kind, model.name, str(card.get("name", model.name)), about, "", _state(used, model.folder), True)


def _origin(source: Any) -> str:
    """Where a model of the home's own comes from, as its card says."""
    if isinstance(source, dict) and source.get("kind") == "tuned base":
        return "tuned here"
    name = str(source.get("file", "") if isinstance(source, dict) else source or "")
    return f"from {name}" if name else "imported"


def loaded_html(models: Iterable[Loaded]) -> str:
    """A card each: what is loaded, why, from where, how large, and what it is for."""
    return '<div class="models-loaded">' + "".join(map(_card_html, models)) + "</div>"


def list_html(found: list[Line], asked: tuple[str, str] = ("", ""), mirror: Path | None = None) -> str:
    """The list by kind. Buttons tell what they do by data-do, data-kind and data-name.

    asked: ("remove" or "fetch", the model's name) where that is to be confirmed. mirror: the folder that stands in for the hub.
    """
    told = f"The folder {mirror} stands in for the hub: what is not in it is not fetched elsewhere."
    groups = f'<p class="help">{escape(told)}</p>' if mirror else ""
    for kind, title in GROUPS.items():
        rows = "".join(_line_html(line, asked[0] if asked[1] == line.name else "") for line in found if line.kind == kind)
        groups += f'<section><h2 class="heading">{title}</h2>{rows}</section>'
    return f'<div class="model-list">{groups}</div>'


def facts_html(facts: Facts) -> str:
    """What was found in a file, before anything is done with it."""
    told = {"parameters": f"{facts.parameters:,}" if facts.parameters else "", "size": size(facts.bytes), **facts.details}
    told["fingerprint"] = facts.fingerprint
    notes = "".join(f'<p class="help">{escape(note)}</p>' for note in facts.notes)
    return (
        f'<div class="found"><div class="job-head"><b>{escape(facts.title)}</b><span class="told">{escape(facts.path.name)}</span></div>'
        f'<p class="help">Can be used as {escape(facts.enables)}.</p>{_table(told)}{notes}</div>'
    )


def size(bytes_: float) -> str:
    """In decimal units, as the hub and file managers tell it; empty where nobody knows."""
    if not bytes_:
        return ""
    return f"{bytes_ / 1e9:.1f} GB" if bytes_ >= 1e9 else f"{bytes_ / 1e6:.0f} MB" if bytes_ >= 1e6 else f"{bytes_ / 1e3:.0f} kB"


def _card_html(loaded: Loaded) -> str:
    tag = '<span class="tag">embedded</span>' if loaded.embedded and loaded.model else ""
    name = escape(loaded.model) or "none is loaded"
    why = "" if loaded.why == "embedded" else f'<p class="help why">{escape(loaded.why)}</p>'
    note = f'<p class="help">{escape(loaded.note)}</p>' if loaded.note else ""
    facts = _table(_loaded_facts(loaded)) if loaded.model else ""
    return (
        f'<article class="card model{"" if loaded.model else " none"}"><div class="model-kind">{TITLES[loaded.kind]}{tag}</div>'
        f'<h2>{name}</h2><p class="help">For {escape(loaded.enables)}.</p>{why}{facts}{note}</article>'
    )


def _loaded_facts(loaded: Loaded) -> dict[str, str]:
    return {
        "images": _joined([_pixels(loaded.image_size), loaded.domain]),
        "parameters": f"{loaded.parameters / 1e6:.1f} million" if loaded.parameters else "",
        "memory": _joined([size(loaded.memory), loaded.device, f"computes in {loaded.precision}"]) if loaded.memory else "",
        "on disk": size(loaded.disk),
        "from": _short(loaded.where),
        "fingerprint": loaded.fingerprint,
    }


def _table(facts: dict[str, str]) -> str:
    """Pairs of name and value; empty ones are left out."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in facts.items() if value)
    return f'<dl class="pairs">{rows}</dl>'


def _line_html(line: Line, asked: str) -> str:
    state = '<span class="pill done">in use</span>' if line.state == "in use" else ""
    note = f'<p class="help">{escape(line.note)}</p>' if line.note else ""
    return (
        f'<div class="model-line"><div class="model-text"><b>{escape(line.title)}</b>{state}<p class="help">{escape(line.about)}</p>{note}'
        f'{_fetch_html(line)}</div><div class="model-do">{_buttons(line, asked)}</div></div>'
    )


def _fetch_html(line: Line) -> str:
    fetch = line.fetch
    if fetch is None or line.state not in ("running", "stopped", "failed"):
        return ""
    if fetch.state != "running":
        return f'<p class="model-said{" bad" if fetch.state == "failed" else ""}" role="status">{escape(fetch.message)}</p>'
    share = 100 * fetch.done / fetch.total if fetch.total else 0
    said = f"{fetch.done} of {fetch.total} MB" if fetch.total else "asking the source …"
    return (
        f'<div class="job-bar" role="progressbar" aria-label="fetching {escape(line.title)}" aria-valuenow="{share:.0f}" aria-valuemin="0" '
        f'aria-valuemax="100"><span style="width:{share:.1f}%"></span></div><p class="help">{said}</p>'
    )


def _buttons(line: Line, asked: str) -> str:
    """What can be done. Removing and downloading are asked about first, and no second click lands where the first one stood."""
    if asked == "remove":
        return _button("keep", line, "Keep it") + _button("remove", line, "Remove for good", "bad")
    if asked == "fetch":
        return _button("keep", line, "Not now") + _button("fetch", line, f"Download {line.size or 'it'} from {line.source}", "chief")
    look = _button("look", line, "Inspect") if line.own else ""
    if line.state == "in use":
        return look
    if line.state == "here":
        return look + (_button("ask remove", line, "Remove") if line.own else "") + _button("use", line, "Use", "chief")
    if line.state == "running":
        return _button("stop", line, "Stop")
    if line.state in ("stopped", "failed"):
        return _button("again", line, "Go on" if line.state == "stopped" else "Try again")
    return _button("ask fetch", line, "Download") if line.state == "absent" else '<span class="told">not in the hub\'s folder</span>'


def _button(what: str, line: Line, words: str, tone: str = "") -> str:
    data = f'data-do="{what}" data-kind="{line.kind}" data-name="{escape(line.name)}"'
    return f'<button type="button" class="small {tone}" {data} aria-label="{escape(f"{words}: {line.title}")}">{words}</button>'


def _state(used: Loaded, place: Path | None, fetch: Fetch | None = None) -> str:
    """place: where the model lies, if it is on this machine."""
    if place is not None:
        return "in use" if used.where == place or place in used.where.parents else "here"
    return fetch.state if fetch is not None and fetch.state != "done" else "absent"


def _pixels(side: Any) -> str:
    return f"{side} px" if side else ""


def _source(address: str) -> str:
    """A hub id as it is; of an address the host and the repository."""
    return "/".join(address.removeprefix("https://").split("/")[:3])


def _joined(parts: Iterable[Any]) -> str:
    return " · ".join(str(part) for part in parts if part)


def _short(path: Path) -> str:
    """The last two names of a path: enough to know it by."""
    return "/".join(path.parts[-2:])
