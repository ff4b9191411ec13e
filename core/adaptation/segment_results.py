"""What came of a one-shot comparison, in numbers: curves, mIoU with its interval, IoU of each class, gains, confusion.

Intervals (95 %) are percentile bootstraps over seeds and test pictures at once, as in `results`; the mIoU of a resample comes from the
summed confusion matrices of the pictures drawn. Arms are compared on the same draws, for all of them saw the same pictures.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import safe_open

from core.adaptation.results import PREFIX, RESAMPLES
from core.adaptation.segment import SEGMENT_ARMS, measured_file
from core.jobs.runs import RunFolder
from core.metrics.segmentation import iou

SEGMENT_DOMAINS = ("source", "target")


def segment_curves(folder: Path) -> pd.DataFrame:
    """A row a measurement so far: arm, seed, iteration, loss, <domain>_miou, <domain>_iou <class>; empty where nothing was measured yet."""
    rows = [row for row in RunFolder(folder).numbers() if row["phase"].startswith(PREFIX)]
    table = pd.DataFrame([{"arm": row["phase"].removeprefix(PREFIX), **row} for row in rows])
    return table.drop(columns=["phase", "step", "total", "time"]).astype({"seed": int, "iteration": int}) if rows else table


def segment_finished(folder: Path) -> dict[str, list[int]]:
    """The seeds that are finished, by arm, in the order of the arms."""
    files = {arm: (folder / "measured").glob(f"{arm}-*.safetensors") for arm in SEGMENT_ARMS}
    found = {arm: sorted(int(path.stem.rpartition("-")[2]) for path in paths) for arm, paths in files.items()}
    return {arm: seeds for arm, seeds in found.items() if seeds}


def facts_of_run(folder: Path, arm: str, seed: int) -> dict[str, Any]:
    """Of a finished segmenter: "classes", "trained on" (pictures) and "seconds"."""
    with safe_open(measured_file(folder, arm, seed), "pt") as file:
        return json.loads(file.metadata()["facts"])


def tables(folder: Path, arm: str, seeds: list[int], domain: str) -> np.ndarray | None:
    """Confusion matrices `(seeds, pictures, classes, classes)`; None where the domain was not tested."""
    found = []
    for seed in seeds:
        with safe_open(measured_file(folder, arm, seed), "np") as file:
            if domain not in file.keys():  # noqa: SIM118 — safe_open is no dict
                return None
            found.append(file.get_tensor(domain))
    return np.stack(found).astype(np.int64)


def mious(folder: Path) -> pd.DataFrame:
    """A row for each arm and domain: miou (mean over seeds), sd over seeds, low and high of the interval, seeds, pictures."""
    rows = []
    for arm, seeds in segment_finished(folder).items():
        for domain in SEGMENT_DOMAINS:
            matrices = tables(folder, arm, seeds, domain)
            if matrices is not None:
                of_seeds = _mious(matrices.sum(axis=1))
                sd = float(of_seeds.std(ddof=1)) if len(seeds) > 1 else 0.0
                low, high = np.percentile(resampled(matrices), [2.5, 97.5])
                rows.append({
                    "trained on": arm, "tested on": domain, "miou": float(of_seeds.mean()), "sd": sd, "low": float(low),
                    "high": float(high), "seeds": len(seeds), "pictures": matrices.shape[1],
                })  # fmt: skip
    return pd.DataFrame(rows)


def segment_gains(folder: Path, against: str = "source") -> pd.DataFrame:
    """A row for each other arm and domain: gain in mIoU over `against`, with its interval; seeds that both finished count."""
    rows = []
    done = segment_finished(folder)
    for arm, seeds in done.items():
        both = [seed for seed in seeds if seed in done.get(against, [])]
        for domain in SEGMENT_DOMAINS if arm != against and both else ():
            this, other = (tables(folder, name, both, domain) for name in (arm, against))
            if this is not None and other is not None:
                gain = float((_mious(this.sum(axis=1)) - _mious(other.sum(axis=1))).mean())
                low, high = np.percentile(resampled(this) - resampled(other), [2.5, 97.5])
                row = {"trained on": arm, "against": against, "tested on": domain}
                rows.append({**row, "gain": gain, "low": float(low), "high": float(high)})
    return pd.DataFrame(rows)


def by_class(folder: Path) -> pd.DataFrame:
    """A row for each arm, domain and class: iou (mean over seeds), sd. A class that neither truth nor prediction has is left out."""
    rows = []
    for arm, seeds in segment_finished(folder).items():
        names = facts_of_run(folder, arm, seeds[0])["classes"]
        for domain in SEGMENT_DOMAINS:
            matrices = tables(folder, arm, seeds, domain)
            if matrices is not None:
                values = iou_table(matrices.sum(axis=1))
                keep = ~np.isnan(values).any(axis=0)
                sd = values.std(axis=0, ddof=1) if len(seeds) > 1 else np.zeros(len(names))
                rows += [{"trained on": arm, "tested on": domain, "class": names[k], "iou": float(values[:, k].mean()), "sd": float(sd[k])}
                         for k in np.flatnonzero(keep)]  # fmt: skip
    return pd.DataFrame(rows)


def confusions(folder: Path, arm: str, domain: str) -> pd.DataFrame:
    """Share of each true class's pixels (rows) that were read as each class (columns), over all finished seeds; empty where untested."""
    seeds = segment_finished(folder).get(arm, [])
    matrices = tables(folder, arm, seeds, domain) if seeds else None
    if matrices is None:
        return pd.DataFrame()
    names, matrix = facts_of_run(folder, arm, seeds[0])["classes"], matrices.sum(axis=(0, 1))
    there = matrix.sum(axis=1) > 0
    shares = matrix[there] / matrix[there].sum(axis=1, keepdims=True)
    return pd.DataFrame(shares, index=[name for name, is_there in zip(names, there, strict=True) if is_there], columns=names)


def resampled(matrices: np.ndarray, resamples: int = RESAMPLES) -> np.ndarray:
    """mIoU `(resamples,)`, seeds and pictures drawn again each time; the same draws for every table of the same shape."""
    seeds, pictures = matrices.shape[:2]
    rng = np.random.default_rng(0)
    of_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), resamples) / seeds
    of_pictures = rng.multinomial(pictures, np.full(pictures, 1 / pictures), resamples).astype(np.float64)
    classes = matrices.shape[-1]
    values = [_mious((of_pictures @ one.reshape(pictures, -1)).reshape(-1, classes, classes)) for one in matrices]
    return (of_seeds * np.stack(values, axis=1)).sum(axis=1)


def iou_table(matrices: np.ndarray) -> np.ndarray:
    """IoU `(k, classes)` of k confusion matrices."""
    return iou(torch.as_tensor(matrices)).numpy()


def _mious(matrices: np.ndarray) -> np.ndarray:
    """mIoU of each of k matrices."""
    return np.nanmean(iou_table(matrices), axis=1)
