"""Tables, intervals, McNemar's test, the figure and the report, on a comparison that is written down by hand."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from core.adaptation.adapt import FACTS
from core.adaptation.figures import curves_figure
from core.adaptation.report import Study, doubts, export, percent
from core.adaptation.results import accuracies, band, bootstrap, comparisons, curves, domains, finished, mcnemar
from core.data.images import decode_image
from core.jobs.runs import RunFolder
from core.types import StepEvent

TRUTH = [0, 1] * 20
SAID = {"source": 0.6, "adapted": 0.9}  # share read right in the target


def predictions(share: float, seed: int) -> list[int]:
    wrong = np.random.default_rng(seed).permutation(len(TRUTH))[: round(len(TRUTH) * (1 - share))]
    return [1 - y if place in wrong else y for place, y in enumerate(TRUTH)]


@pytest.fixture
def folder(tmp_path):
    for place, (arm, share) in enumerate(SAID.items()):
        for seed in range(3):
            tests = {name: {"truth": TRUTH, "said": predictions(s, seed)} for name, s in (("source", 0.9), ("target", share))}
            path = tmp_path / "predictions" / f"{arm}-{seed}.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps({"tests": tests}))
            for epoch in (1, 2):
                numbers = {"seed": seed, "epoch": epoch, "loss": 1 / epoch, "target_accuracy": share - 0.01 * seed, "target_loss": 0.5}
                RunFolder(tmp_path).add_numbers(StepEvent(f"train on {arm}", 6 * place + 2 * seed + epoch, 12, numbers))
    return tmp_path


def test_tables_say_what_was_predicted(folder):
    assert finished(folder) == {"source": [0, 1, 2], "adapted": [0, 1, 2]} and domains(folder) == ["source", "target"]
    table = accuracies(folder).set_index(["trained on", "tested on"])
    row = table.loc["adapted", "target"]
    assert row["accuracy"] == pytest.approx(0.9) and row["low"] < 0.9 < row["high"] and (row["seeds"], row["pictures"]) == (3, 40)
    gain = comparisons(folder).set_index(["trained on", "tested on"]).loc["adapted", "target"]
    assert gain["gain"] == pytest.approx(0.3) and 0 < gain["low"] < gain["high"] and gain["p"] < 0.01
    assert percent(accuracies(folder)).iloc[-1].tolist()[:3] == ["adapted", "target", "90.0"]


@pytest.mark.long
def test_who_has_not_learned_its_own_domain_is_named(folder, tmp_path):
    table = accuracies(folder)
    assert set(table["one_answer"]) == {0.5} and doubts(table) == []  # 0.6 in the target is no doubt: source learned in source
    for seed in range(2):
        tests = {"target": {"truth": TRUTH, "said": [1] * len(TRUTH)}}
        (folder / "predictions" / f"target-{seed}.json").write_text(json.dumps({"tests": {**tests, "source": tests["target"]}}))
    (sentence,) = doubts(accuracies(folder))
    assert "Trained on target and tested there: 50.0 %" in sentence and "right in 50.0 %" in sentence and "no measure" in sentence
    (tmp_path / FACTS).write_text(json.dumps({"method": "diffusionclip", "settings": {}}))
    export(Study("Smiling", folder, tmp_path, {}), tmp_path / "out")
    assert sentence in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "out" / "report.json").read_text())["doubts"] == [sentence]
    constant = table.assign(low=0.4)
    assert len(doubts(constant)) == 1 and "says nothing of the others" in doubts(constant)[0]


def test_curves_and_their_band(folder):
    table = curves(folder)
    assert list(table.columns[:3]) == ["arm", "seed", "epoch"] and len(table) == 12
    line = band(table, "source", "target_accuracy")
    assert line.loc[1, "mean"] == pytest.approx(0.59) and line.loc[1, "sd"] == pytest.approx(0.01)
    assert curves(folder / "nothing").empty


def test_a_band_ends_where_shares_do():
    table = pd.DataFrame({"arm": "source", "seed": [0, 1], "epoch": 1, "target_accuracy": [1.0, 0.9], "target_loss": [0.1, 2.0]})
    assert band(table, "source", "target_accuracy")["high"].tolist() == [1.0]
    loss = band(table, "source", "target_loss")
    assert loss["low"].tolist() == [0.0] and loss["high"].item() > 2.0
    shades = [trace for trace in curves_figure(table, "run").data if trace.fill == "toself"]
    assert shades and all(trace.mode == "lines" for trace in shades)  # plotly would mark their corners in colours of its own


def test_mcnemar_is_exact():
    a, b = np.array([True] * 9 + [False] * 3 + [True] * 5), np.array([False] * 9 + [True] * 3 + [True] * 5)
    p, only_a, only_b = mcnemar(a, b)
    assert (only_a, only_b) == (9, 3) and p == pytest.approx(0.14599609375)  # 2 · Σ_{k≤3} C(12, k) / 2^12
    assert mcnemar(a, a) == (1.0, 0, 0)


def test_the_bootstrap_is_the_binomials_for_one_seed():
    found = bootstrap(np.array([[1] * 80 + [0] * 20]))
    assert found.mean == 0.8 and found.low == pytest.approx(0.72, abs=0.015) and found.high == pytest.approx(0.88, abs=0.015)
    assert bootstrap(np.ones((2, 5))).low == 1.0


def test_the_figure_has_a_line_and_a_band_an_arm(folder):
    figure = curves_figure(curves(folder), "run")
    assert [trace.name for trace in figure.data if trace.name] == ["source only", "adapted"] and len(figure.data) == 4
    assert figure.layout.uirevision == "run" and curves_figure(curves(folder / "nothing"), "run").data == ()


@pytest.mark.long
def test_the_report_needs_nothing_beside_it(folder, tmp_path):
    (tmp_path / FACTS).write_text(json.dumps({"method": "diffusionclip", "settings": {"return_step": 601}}))
    written = export(Study("Smiling <b>", folder, tmp_path, {"epochs": 2}), tmp_path / "out")
    assert {path.name for path in written} == {
        "curves.csv", "accuracies.csv", "comparisons.csv", "accuracy.png", "loss.png", "report.json", "report.html",
    }  # fmt: skip
    assert decode_image(tmp_path / "out" / "accuracy.png").width > 600
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Smiling &lt;b&gt;" in page and "&quot;return_step&quot;: 601" in page and "90.0" in page and "59.3" in page
    assert not re.search(r'<(script|link|img)[^>]*(src|href)="https?:', page)
    facts = json.loads((tmp_path / "out" / "report.json").read_text())
    assert len(facts["curves"]) == 12 and facts["adaptation"]["method"] == "diffusionclip"
