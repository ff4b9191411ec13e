"""A labelled set carried across with an edit: every picture a PNG under its own name, with its labels, and a manifest of it all.

The PNG is the record: it appears whole or not at all and holds its request and its scores, so whatever is there is done, and a run that
was killed, or another process beside this one, only makes what is missing. Pictures go in fixed batches of neighbours, picture i with
the seed `seed + i`; batch k belongs to process k mod n. So the result is the same whoever made which part of it, and how often.

A folder holds the pictures, the tables of the set's layout (see core/data/labelled_write.py) and, once it is complete,
adaptation.json  edit, settings, models, base, digest of the set      manifest.csv  a row a picture: source, labels, digests, scores
set.jsonl        the index, for `load_set`
"""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
import math
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.data.images import to_pils, to_tensor
from core.data.labelled import LabelledImage, LabelledSet, Report, digest_of, load_set, png_names
from core.data.labelled_write import write_tables
from core.data.linked import linked
from core.data.png import read_request, write_png
from core.data.text_files import write_text
from core.methods.datum import picture_side
from core.methods.walks import stop_if_asked
from core.methods.within_memory import edit_within_memory
from core.models.fingerprint import fingerprints, weights_hash
from core.types import Context, Edit, EditRequest, EditResult, Method, Settings, ShiftlabError, StepEvent

FACTS, MANIFEST, INDEX = "adaptation.json", "manifest.csv", "set.jsonl"
RECORD_VERSION = 1  # of the request in a PNG, the same as the page's


@dataclass(frozen=True)
class Adaptation:
    """An edit with its settings, as it is applied to a whole set. edits: (key, edit); several mix, none reconstructs."""

    method: Method
    settings: Settings
    edits: tuple[tuple[str, Edit], ...] = ()
    seed: int = 0
    batch: int = 16

    def facts(self, labelled: LabelledSet, context: Context) -> dict[str, Any]:
        """Everything that the pictures depend on, as JSON: two folders with the same facts hold the same pictures."""
        return {
            "method": self.settings.method,
            "settings": self.settings.model_dump(mode="json"),
            "edits": [{"key": key, "name": edit.card.name, "weights": weights_hash(edit.weights)} for key, edit in self.edits],
            "seed": self.seed,
            "batch": self.batch,
            "models": fingerprints(context),
            "image_size": picture_side(self.settings, context),
            "set": digest_of_set(labelled),
            "pictures": len(labelled),
        }


def adapt(
    labelled: LabelledSet, adaptation: Adaptation, out: Path, context: Context, rank: int = 0, world: int = 1,
    earlier: Iterable[Path] = (),
) -> Iterator[StepEvent]:  # fmt: skip
    """Yields an "adapt" event a batch, counting pictures of this process; the manifest is written by whoever finds all of them there.

    rank, world: which of how many processes this is. earlier: folders of adaptations; the pictures of those that are of the same set and
    settings (it may have been split otherwise) are taken over. Event numbers: images_per_s, seconds_left, and the batch's mean of each
    score. Raises ShiftlabError for a folder that holds another adaptation, or a picture that changed since the set was read; Stopped when
    asked.
    """
    names = png_names(labelled.items)
    facts = adaptation.facts(labelled, context)
    _begin(out, facts)
    _take_over(names, facts, earlier, out)
    batches = [range(k, min(k + adaptation.batch, len(names))) for k in range(0, len(names), adaptation.batch)][rank::world]
    missing = [[i for i in batch if not (out / names[i]).is_file()] for batch in batches]
    total = sum(map(len, batches))
    done = resumed = total - sum(map(len, missing))
    yield StepEvent("adapt", done, total, note=f"{done} of {total} pictures were there already." if done else "")
    began = time.perf_counter()
    for batch, lacking in zip(batches, missing, strict=True):
        if not lacking:
            continue
        stop_if_asked(context)
        result = _carried([labelled.items[i] for i in batch], batch.start, labelled, adaptation, context)
        _write(result, batch, lacking, labelled, names, adaptation, out, context)
        done += len(lacking)
        pace = (done - resumed) / (time.perf_counter() - began)
        yield StepEvent("adapt", done, total, {"images_per_s": pace, "seconds_left": (total - done) / pace, **_means(result.scores)})
    if all((out / name).is_file() for name in names):
        _finish(labelled, names, out)
        yield StepEvent("adapt", total, total, note=f"All {len(names)} pictures are there.")


def digest_of_set(labelled: LabelledSet) -> str:
    """16 hex characters over the names, labels and digests of a set's pictures, in order."""
    digest = hashlib.sha256()
    for name, labels, _, content in labelled.items:
        digest.update(json.dumps([name, labels, content]).encode())
    return digest.hexdigest()[:16]


def is_complete(out: Path) -> bool:
    """Whether the folder holds a whole adapted set."""
    return (out / INDEX).is_file()


def adapted_set(out: Path) -> LabelledSet:
    """The adapted pictures, in the order of the set they came from. Raises ShiftlabError where they are not all there yet."""
    if not is_complete(out):
        raise ShiftlabError(f"The adapted set in {out} is not complete. Resume its run, and go on when it is done.")
    return replace(load_set(out / INDEX), source=out)  # the folder may have been moved


def facts_of(out: Path) -> dict[str, Any]:
    """What `Adaptation.facts` said when the folder was begun."""
    try:
        return json.loads((out / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ShiftlabError(f"{out} holds no adapted set. Adapt one first.") from error


def _begin(out: Path, facts: dict[str, Any]) -> None:
    if not (out / FACTS).is_file():
        write_text(out / FACTS, json.dumps(facts, indent=2) + "\n")
    elif facts_of(out) != facts:
        raise ShiftlabError(f"{out} holds another adaptation (another set, edit, setting or model). Choose another folder.")


def _take_over(names: Sequence[str], facts: dict[str, Any], earlier: Iterable[Path], out: Path) -> None:
    same = [folder for folder in earlier if (folder / FACTS).is_file() and facts_of(folder) == facts]
    for folder, name in itertools.product(same, names):
        if (folder / name).is_file():
            linked(folder / name, out / name)


def _carried(items: Sequence[LabelledImage], first: int, labelled: LabelledSet, adaptation: Adaptation, context: Context) -> EditResult:
    """One batch through the method, whose own steps are of no interest here."""
    images = to_tensor([labelled.picture(item) for item in items], picture_side(adaptation.settings, context))
    edits = tuple(edit for _, edit in adaptation.edits)
    request = EditRequest(images, adaptation.settings, edits, adaptation.seed + first)
    quiet = replace(context, store=None)  # a whole set would only push the page's own trajectories out of the store
    for event in edit_within_memory(adaptation.method, request, quiet):
        if isinstance(event, EditResult):
            return event
    raise ShiftlabError("The edit ended without a result. Start it again.")


def _write(
    result: EditResult, batch: range, lacking: Iterable[int], labelled: LabelledSet, names: Sequence[str], adaptation: Adaptation,
    out: Path, context: Context,
) -> None:  # fmt: skip
    pictures = to_pils(result.images)
    for i in lacking:
        record = {
            "version": RECORD_VERSION,
            "method": adaptation.settings.method,
            "settings": adaptation.settings.model_dump(mode="json"),
            "edits": [key for key, _ in adaptation.edits],
            "seed": adaptation.seed + i,
            "base": context.base.fingerprint,
            "picture": {"name": Path(labelled.items[i].name).name},
            "models": result.models,
            "note": result.note,
            "scores": {name: value for name, value in result.scores[i - batch.start].items() if math.isfinite(value)},
        }
        write_png(out / names[i], pictures[i - batch.start], record)


def _means(scores: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: sum(row[name] for row in scores) / len(scores) for name in (scores[0] if scores else {})}


def _finish(labelled: LabelledSet, names: Sequence[str], out: Path) -> None:
    """Tables, manifest and index, each of which appears whole; two processes that both do this write the same."""
    write_tables(out, labelled, names)
    text = io.StringIO(newline="")
    rows = list(_rows(labelled, names, out))
    table = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)), restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(out / MANIFEST, text.getvalue())
    items = tuple(item._replace(name=row["name"], digest=row["digest"]) for item, row in zip(labelled.items, rows, strict=True))
    LabelledSet(out, labelled.columns, items, Report(labelled.report.layout)).save(out / INDEX)


def _rows(labelled: LabelledSet, names: Sequence[str], out: Path) -> Generator[dict[str, Any]]:
    for name, item in zip(names, labelled.items, strict=True):
        data = (out / name).read_bytes()
        record = read_request(data) or {}
        labels = {f"label {column}": label for column, label in zip(labelled.columns, item.labels, strict=True)}
        yield {
            "name": name, "source": item.name, **labels, "split": item.split, "source_digest": item.digest, "digest": digest_of(data),
            "seed": record.get("seed"), **record.get("scores", {}),
        }  # fmt: skip
