"""The tables of the proof on streets: mIoU over one-shot images, IoU of each class, and the sentence against the goals."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd

from core.adaptation.segment_results import by_class, mious

GOAL = 7.1  # points over source only: the paper's best margin over its best rival
ARMS = {
    "source": "source only", "one_shot": "the one image (copies and crops)", "generated": "DATUM", "carried": "carried scenes",
    "target": "oracle",
}  # fmt: skip
JUDGED = {"generated": "DATUM", "carried": "Carried scenes"}
SECONDS = "seconds.json"  # in a run's folder: how long it took, over all its parts
DAY = "day-segment"  # the run of the source-only segmenters
STAGES = ("personalise", "generate", "segment")


def seconds_of(folder: Path) -> float:
    """How long the run in a folder has taken so far."""
    path = folder / SECONDS
    return float(json.loads(path.read_text())) if path.is_file() else 0.0


def by_image(folders: list[Path], oracle_folder: Path | None) -> pd.DataFrame:
    """mIoU on the target in percent: a row an arm, a column a one-shot image. The oracle knows none, so it has the same in each."""
    columns = {}
    for place, folder in enumerate(folders):
        table = mious(folder)
        columns[place] = 100 * table[table["tested on"] == "target"].set_index("trained on")["miou"]
    found = pd.DataFrame(columns)
    if oracle_folder is not None:
        table = mious(oracle_folder)
        found.loc["target"] = 100 * float(table[table["tested on"] == "target"]["miou"].iloc[0])
    return found


def summary(values: pd.DataFrame) -> pd.DataFrame:
    """`by_image` as people read it: mean, spread and gain over source only."""
    rows = []
    for arm, row in values.iterrows():
        gain = row - values.loc["source"]
        rows.append({
            "segmenter": ARMS[str(arm)], "mIoU": row.mean(), "sd": row.std(ddof=1) if len(row) > 1 else 0.0, "least": row.min(),
            "greatest": row.max(), "gain": gain.mean(),
        })  # fmt: skip
    return pd.DataFrame(rows).round(1)


def verdict(values: pd.DataFrame) -> str:
    """A sentence against the two goals for DATUM, and one for carried scenes where there are any."""
    return " ".join(_against(values.mean(axis=1), arm, name) for arm, name in JUDGED.items() if arm in values.index)


def _against(means: pd.Series, arm: str, name: str) -> str:
    gain, lead = means[arm] - means["source"], means[arm] - means.get("one_shot", math.nan)
    reached = "reached" if gain >= GOAL and not lead <= 0 else "missed"
    over = f", {lead:+.1f} over the one-image control (goal above 0)" if not math.isnan(lead) else ""
    return f"{name}: {gain:+.1f} points over source only (goal +{GOAL}){over}: {reached}."


def classes_table(folders: list[Path]) -> pd.DataFrame:
    """IoU of each class on the target in percent, a column an arm, mean over the one-shot images."""
    parts = pd.concat([by_class(folder) for folder in folders])
    table = parts[parts["tested on"] == "target"].pivot_table(index="class", columns="trained on", values="iou", sort=False)
    return (100 * table).round(1).rename(columns=ARMS).reset_index()


def section(domain: str, folders: list[Path], oracle_folder: Path | None, work: Path) -> str:
    """Sentences and tables of one target. folders: the comparison of each one-shot image."""
    values = by_image(folders, oracle_folder)
    stages = {stage: [seconds_of(work / f"{domain}-{k}-{stage}") for k in range(len(folders))] for stage in STAGES}
    minutes = ", ".join(f"{stage} {sum(times) / len(times) / 60:.1f}" for stage, times in stages.items() if any(times))
    own = seconds_of(work / DAY) / 60
    return "\n\n".join([
        f"## {domain}", verdict(values), summary(values).to_markdown(index=False),
        f"Minutes an image: {minutes}; source only once for all: {own:.1f}.",
        "IoU of each class, %:", classes_table(folders).to_markdown(index=False),
    ])  # fmt: skip
