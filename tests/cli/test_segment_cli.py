"""`scenes` and `segment`, one after the other, as a night's script would call them."""

from __future__ import annotations

import json

import pytest

from core.cli.app import main
from core.cli.segment import _carry
from tests.adaptation.segment_helpers import QUICK, labelled, scenes, unlabelled, write_backbone

WORDS = [str(word) for name, value in QUICK.items() for word in (f"--{name.replace('_', '-')}", value)]


@pytest.fixture
def run(tmp_path, capsys):
    def call(*words):
        where = ["--device", "cpu", "--home", str(tmp_path / "home")] if words[0] == "segment" else []
        status = main([*(str(word) for word in words), *where])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


@pytest.mark.long
def test_from_a_folder_to_a_report(run, tmp_path):
    labelled(tmp_path / "source")
    (tmp_path / "source" / "masks" / "train" / "train0.png").write_bytes(b"broken")
    status, out, _ = run("scenes", tmp_path / "source", "--out", tmp_path / "source.jsonl")
    assert status == 0 and "7 train, 0 validation, 4 test" in out and "left out: masks/train/train0.png" in out and "road" in out

    labelled(tmp_path / "target", shade=0.4, seed=5)
    unlabelled(tmp_path / "generated", shade=0.4)
    scenes(1, 20, 0.4)[0].image.save(tmp_path / "one.png")
    words = ["segment", tmp_path / "source.jsonl", "--one-shot", tmp_path / "one.png", "--images", tmp_path / "generated", "--target",
             tmp_path / "target", "--out", tmp_path / "run", "--model", write_backbone(tmp_path / "mit"), *WORDS]  # fmt: skip
    status, out, err = run(*words)
    assert status == 0 and "generated images" in out and "report.html" in out and "target_miou" in err
    rows = json.loads((tmp_path / "run" / "report" / "report.json").read_text())["miou"]
    assert {row["trained on"] for row in rows} == {"source", "one_shot", "generated"}
    assert "train on" not in run(*words)[2]  # nothing is trained again
    status, _, err = run(*words, "--target", tmp_path / "source")
    assert status == 1 and "holds a run of another set" in err


def test_a_preset_is_of_a_weather_and_what_is_given_goes_before():
    fog = {"preset": "fog", "carry": '{"scenes": 7}'}
    assert (_carry(fog).scenes, _carry(fog).contrast) == (7, 0.5)
    assert _carry({"preset": "night", "carry": "{}"}).contrast == 0


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["scenes", "nowhere"], 1, "no labelled set"),
        (["segment", "nowhere"], 1, "no labelled set"),
        (["segment", "nowhere", "--arm", "magic"], 2, "--arm is one of source, one_shot"),
        (["segment", "nowhere", "--model", "nvidia/mit-b0"], 1, "not on this machine"),
        (["segment", "nowhere", "--crop", "4"], 2, "--crop"),
    ],
)
def test_what_goes_wrong_is_said(run, words, status, said):
    found, _, err = run(*words)
    assert (found, said in err) == (status, True)
