"""What came of a comparison, in numbers: curves over epochs, accuracies with their intervals, and whether two classifiers truly differ.

Intervals (95 %) are percentile bootstraps over seeds and test pictures at once: both the classifier's luck and the test set's count
(Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 13). Differences of two arms are drawn in pairs, for both saw the same
pictures. McNemar's test is the exact one (McNemar 1947; binomial on the pictures that only one of the two read right), seed against seed;
of the seeds the largest p is reported, the most cautious.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from core.adaptation.classify import ARMS, PHASE, correct, tested
from core.jobs.runs import RunFolder

RESAMPLES = 2000
DRAWN_AT_ONCE = 2_000_000  # numbers of a resampling that stand in memory
PREFIX = PHASE.format("")
DOMAINS = ("source", "target", "adapted")
SHARES = ("accuracy", "miou")  # metrics between 0 and 1, shown in percent


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float


def curves(folder: Path) -> pd.DataFrame:
    """A row an epoch so far: arm, seed, epoch, loss, <domain>_accuracy, <domain>_loss; empty where nothing was trained yet."""
    rows = [row for row in RunFolder(folder).numbers() if row["phase"].startswith(PREFIX)]
    table = pd.DataFrame([{"arm": row["phase"].removeprefix(PREFIX), **row} for row in rows])
    return table.drop(columns=["phase", "step", "total", "time"]).astype({"seed": int, "epoch": int}) if rows else table


def band(table: pd.DataFrame, arm: str, metric: str, by: str = "epoch") -> pd.DataFrame:
    """Over seeds, by epoch, of one column of `curves`: mean, sd (0 with one seed), and low and high, mean ± sd as far as there can be."""
    groups = table[table["arm"] == arm].groupby(by)[metric]
    mean, sd = groups.mean(), groups.std().fillna(0.0)
    most = 1.0 if metric.endswith(SHARES) else None
    return pd.DataFrame({"mean": mean, "sd": sd, "low": (mean - sd).clip(0.0), "high": (mean + sd).clip(upper=most)})


def finished(folder: Path) -> dict[str, list[int]]:
    """The seeds that are finished, by arm, in the order of ARMS."""
    found: dict[str, list[int]] = {}
    for arm in ARMS:
        seeds = sorted(int(path.stem.rpartition("-")[2]) for path in (folder / "predictions").glob(f"{arm}-*.json"))
        if seeds:
            found[arm] = seeds
    return found


def domains(folder: Path) -> list[str]:
    """The domains that the finished classifiers were tested in."""
    path = next((folder / "predictions").glob("*.json"), None)
    tests = json.loads(path.read_text(encoding="utf-8"))["tests"] if path else {}
    return [name for name in DOMAINS if tests.get(name, {}).get("truth")]


def accuracies(folder: Path) -> pd.DataFrame:
    """A row for each arm and domain: accuracy (mean over seeds), sd over seeds, low and high of the interval, seeds, pictures, and
    one_answer, the accuracy of whoever gives the commonest label to every picture.
    """
    rows = []
    for arm, seeds in finished(folder).items():
        for domain in domains(folder):
            right = matrix(folder, arm, seeds, domain)
            found = bootstrap(right)
            of_seeds = right.mean(axis=1)
            sd = float(of_seeds.std(ddof=1)) if len(seeds) > 1 else 0.0
            rows.append({
                "trained on": arm, "tested on": domain, "accuracy": found.mean, "sd": sd, "low": found.low, "high": found.high,
                "seeds": len(seeds), "pictures": right.shape[1], "one_answer": one_answer(folder, arm, seeds[0], domain),
            })  # fmt: skip
    return pd.DataFrame(rows)


def one_answer(folder: Path, arm: str, seed: int, domain: str) -> float:
    """The share of the commonest label among the test pictures of a domain."""
    truth = tested(folder, arm, seed, domain)["truth"]
    return max(truth.count(label) for label in set(truth)) / len(truth)


def comparisons(folder: Path, against: str = "source") -> pd.DataFrame:
    """A row for each other arm and domain: gain over `against` with its interval, and McNemar's test.

    only_this, only_other: pictures that only one of the two read right, of the seed with the largest p.
    """
    rows = []
    done = finished(folder)
    for arm, seeds in done.items():
        both = [seed for seed in seeds if seed in done.get(against, [])]
        if arm == against or not both:
            continue
        for domain in domains(folder):
            this, other = matrix(folder, arm, both, domain), matrix(folder, against, both, domain)
            gain = bootstrap(this.astype(np.int8) - other.astype(np.int8))
            p, only_this, only_other = max(mcnemar(a, b) for a, b in zip(this, other, strict=True))
            rows.append({
                "trained on": arm, "against": against, "tested on": domain, "gain": gain.mean, "low": gain.low, "high": gain.high,
                "p": p, "only_this": only_this, "only_other": only_other,
            })  # fmt: skip
    return pd.DataFrame(rows)


def matrix(folder: Path, arm: str, seeds: Sequence[int], domain: str) -> np.ndarray:
    """Which pictures were read right: bool `(seeds, pictures)`."""
    return np.stack([correct(folder, arm, seed, domain) for seed in seeds])


def bootstrap(values: np.ndarray, resamples: int = RESAMPLES) -> Interval:
    """The mean of values `(seeds, pictures)` with its 95 % interval, seeds and pictures both drawn again. The same each time."""
    rng = np.random.default_rng(0)
    seeds, pictures = values.shape
    at_once = max(1, DRAWN_AT_ONCE // pictures)
    means = []
    for begin in range(0, resamples, at_once):
        count = min(at_once, resamples - begin)
        of_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), count)  # how often each was drawn
        of_pictures = rng.multinomial(pictures, np.full(pictures, 1 / pictures), count)
        means.append(((of_seeds @ values) * of_pictures).sum(axis=1) / values.size)
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    return Interval(float(values.mean()), float(low), float(high))


def mcnemar(a: np.ndarray, b: np.ndarray) -> tuple[float, int, int]:
    """(p, right only in a, right only in b) of two classifiers on the same pictures, bool `(n,)` each; two-sided and exact."""
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    p = float(binomtest(only_a, only_a + only_b, 0.5).pvalue) if only_a + only_b else 1.0
    return p, only_a, only_b
