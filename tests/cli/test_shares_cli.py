"""Shares of a folder of pictures, and a set rebalanced by them, from the command line."""

from __future__ import annotations

import csv

import pytest

from core.cli.app import main
from tests.adaptation.helpers import write_set
from tests.tiny import write_models


@pytest.fixture
def run(tmp_path, capsys):
    checkpoints = write_models(tmp_path / "checkpoints")
    models = ["--home", tmp_path / "home", "--checkpoints", checkpoints, "--device", "cpu", "--precision", "fp32", "--clip", "none"]

    def call(*words):
        status = main([str(word) for word in (*words, *(models if words[0] == "shares" else []))])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


@pytest.mark.long
def test_from_pictures_without_labels_to_a_rebalanced_set(run, tmp_path):
    source, target = write_set(tmp_path / "set", 30), write_set(tmp_path / "target", 20, seed=5)
    for path in sorted((target / "no").iterdir())[5:]:
        path.unlink()
    words = ["shares", source, target, "--attribute", "class", "--out", tmp_path / "shares", "--levels", 2, "--validation", 0.2]
    status, out, err = run(*words)
    assert status == 0 and "level 300" in err and "class   yes" in out
    assert run(*words)[1] == out and "saw source pictures only" in err

    status, out, _ = run("rebalance", source, "--shares", tmp_path / "shares", "--validation", 0.2, "--out", tmp_path / "new.jsonl")
    assert status == 0 and "class  yes  8" in out and "training pictures" in out
    rows = list(csv.DictReader((tmp_path / "new.csv").open()))
    taken = [int(row["taken"]) for row in rows]
    assert sum(taken) == len(taken) == 36 and 0 in taken  # as many as there were, some of them several times
    status, _, err = run("rebalance", tmp_path / "shares.target.jsonl", "--shares", tmp_path / "shares")
    assert status == 1 and "have no labels" in err
    (tmp_path / "shares" / "shares.csv").unlink()
    assert "There are no shares in" in run("rebalance", source, "--shares", tmp_path / "shares")[2]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["shares", "nowhere", "nowhere"], 2, "--attribute"),
        (["shares", "nowhere", "nowhere", "--attribute", "x"], 1, "no labelled set"),
        (["rebalance", "nowhere", "--way", "magic"], 2, "--way is one of plain, adjusted, em"),
        (["rebalance", "nowhere"], 1, "no shares in shares"),
    ],
)
def test_what_goes_wrong_is_said(run, words, status, said):
    found, _, err = run(*words)
    assert found == status and said in err
