"""Source and adapted pictures side by side, in the order in which they ought to be looked at, with what the witnesses said of each."""

from __future__ import annotations

from functools import lru_cache
from html import escape
from pathlib import Path

import pandas as pd

from core.adaptation.audit import WITNESSES, AuditSettings, voted
from core.adaptation.decisions import Decisions
from core.adaptation.pairs import in_order
from core.data.images import decode_image
from core.types import ShiftlabError
from ui.adapt_chain import Chain
from ui.adapt_read import index_of, manifest_of, png_names_of, small
from ui.numbers import number

SAID = {"clip": "CLIP", "identity": "scaled identity"}  # elsewhere "identity" is the encoder's bare cosine
IDENTITY, SUSPICION = "Worst identity first", "Most suspicious first"
PAGE = 24  # pairs that are shown at first, and added by “More”
NEWEST = 6  # while it works
TELL_PAIR = """
element.addEventListener('click', event => {
  const pair = event.target.closest('button[data-name]');
  if (pair) trigger('click', {name: pair.dataset.name});
});
"""


def newest_html(chain: Chain) -> str:
    """The last pictures that an adaptation under way has made."""
    labelled, names = index_of(chain.index), png_names_of(chain.index)
    done = min(chain.adapt.step, len(labelled))
    cells = ""
    for place in range(max(0, done - NEWEST), done):
        try:
            before, after = labelled.picture(labelled.items[place]), decode_image(chain.out / names[place])
        except (ShiftlabError, OSError):
            continue
        cells += _cell(small(before), small(after), f"{place + 1:,}")
    return f'<h2 class="heading">The newest</h2><div class="pairs-grid">{cells}</div>' if cells else ""


def pairs_html(chain: Chain, order: str, count: int, table: pd.DataFrame | None, decided: Decisions) -> str:
    """The first `count` pairs of a complete adapted set. table: the audit's; with it, every pair is a button that drops or keeps it."""
    marked = voted(table, decided.settings).set_index("name") if table is not None else None
    dropped = frozenset(decided.names(table)) if table is not None else frozenset()
    names = list(marked.index) if marked is not None and order == SUSPICION else in_order(manifest_of(chain.adapted))
    cells = "".join(_pair_html(chain, name, marked, decided.settings, name in dropped) for name in names[:count])
    return f'<div class="pairs-grid">{cells}</div>'


def _pair_html(chain: Chain, name: str, marked: pd.DataFrame | None, settings: AuditSettings, dropped: bool) -> str:
    row = manifest_of(chain.adapted).loc[name]
    before, after = _sides(chain.index, chain.adapted, row["source"], name)
    label = str(row[f"label {chain.choices.column}"])
    told = [f"{chain.choices.column}: {label or '(none)'}"] + ([f"identity {number(row['identity'])}"] if "identity" in row else [])
    if marked is None or name not in marked.index:
        return _cell(before, after, escape(" · ".join(told)))
    words = f"<span>{escape(told[0])}</span>{_witnesses_html(marked.loc[name], settings)}"
    said = '<span class="pill is-failed">dropped</span>' if dropped else '<span class="pill">kept</span>'
    sides = f'<span class="pair-sides"><img src="{before}" alt="before"><img src="{after}" alt="after"></span>'
    tone, press = (" is-dropped", "keep") if dropped else ("", "drop")
    return (
        f'<button type="button" class="pair{tone}" data-name="{escape(name)}" aria-pressed="{str(dropped).lower()}" '
        f'title="{escape(name)}: press to {press} it">{sides}<span class="pair-words">{words}{said}</span></button>'
    )


def _witnesses_html(row: pd.Series, settings: AuditSettings) -> str:
    """What each witness said; those who speak against the picture are marked."""
    told = ""
    for name in WITNESSES:
        if name in row and pd.notna(row[name]):
            against = row[name] < getattr(settings, f"{name}_below")
            told += f'<span class="vote{" against" if against else ""}">{SAID.get(name, name)} {number(row[name])}</span>'
    return told


def _cell(before: str, after: str, words: str) -> str:
    sides = f'<span class="pair-sides"><img src="{before}" alt="before"><img src="{after}" alt="after"></span>'
    return f'<figure class="pair">{sides}<figcaption>{words}</figcaption></figure>'


@lru_cache(maxsize=512)
def _sides(index: Path, out: Path, source: str, name: str) -> tuple[str, str]:
    """Both pictures, small; an empty one where its file is gone."""
    labelled = index_of(index)
    item = next(item for item in labelled.items if item.name == source)
    try:
        return small(labelled.picture(item)), small(decode_image(out / name))
    except (ShiftlabError, OSError):
        return "", ""
