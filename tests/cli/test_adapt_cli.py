"""The commands on labelled sets, one after the other, as a night's script would call them."""

from __future__ import annotations

import json

import pytest

from core.cli.app import main
from core.data.edits import save_edit
from core.models.base import load_base
from tests.adaptation.helpers import QUICK, random_edit, write_set
from tests.tiny import write_models

QUICK_WORDS = [word for name, value in QUICK.items() for word in (f"--{name.replace('_', '-')}", str(value))]


@pytest.fixture
def run(tmp_path, capsys):
    checkpoints = write_models(tmp_path / "checkpoints")
    base = load_base(checkpoints / "base")
    save_edit(checkpoints / "edits" / "sketch.safetensors", random_edit(base), base.state_dict())
    models = ["--home", tmp_path / "home", "--checkpoints", checkpoints, "--device", "cpu", "--precision", "fp32"]

    def call(*words):
        where = {"labelled": [], "classify": ["--device", "cpu"]}.get(words[0], models)
        status = main([str(word) for word in (*words, *where)])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


@pytest.mark.long
def test_from_a_folder_to_a_report(run, tmp_path):
    source = write_set(tmp_path / "set", 8)
    (source / "yes" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    status, out, _ = run("labelled", source, "--out", tmp_path / "set.jsonl")
    assert status == 0 and "16 pictures, layout folders" in out and "left out: yes/broken.png: This image is damaged" in out

    adapted, comparison, audit = (tmp_path / name for name in ("adapted", "comparison", "audit"))
    words = ["adapt", "diffusionclip", tmp_path / "set.jsonl", "--edit", "sketch", "--out", adapted, *QUICK_WORDS]
    status, out, err = run(*words)
    assert status == 0 and "16 pictures" in out and "images_per_s" in err
    assert "16 of 16 pictures were there already" in run(*words)[2]

    quick = ["--epochs", 1, "--seeds", 1]
    comparison.mkdir()  # an empty folder is as good as none
    status, out, _ = run("classify", tmp_path / "set.jsonl", "--adapted", adapted, "--out", comparison, *quick)
    assert status == 0 and "trained on" in out and "report.html" in out
    prompts = ["--prompt", "no=dark", "--prompt", "yes=light"]
    status, out, _ = run("audit", "--adapted", adapted, "--comparison", comparison, "--out", audit, "--votes", 1, *prompts)
    assert status == 0 and "of 16 suspicious" in out
    (tmp_path / "foreign.csv").write_text("file,score\na.png,1\n")
    (tmp_path / "texts.csv").write_text("name,classifier\na.png,good\n")
    (tmp_path / "nothing.csv").write_text("")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "notes.txt").write_text("mine")
    again = ["classify", tmp_path / "set.jsonl", "--adapted", adapted, *quick]
    for name in ("foreign.csv", "texts.csv", "nothing.csv"):
        status, _, err = run(*again, "--out", tmp_path / "third", "--arm", "audited", "--audit", tmp_path / name)
        assert status == 1 and f"{name} is no table of an audit" in err
    status, _, err = run(*again, "--out", tmp_path / "files")
    assert status == 1 and "files is there and holds no run of Shiftlab" in err
    arms = ["--arm", "source", "--arm", "adapted", "--target", source]
    status, _, _ = run("classify", tmp_path / "set.jsonl", "--adapted", adapted, "--out", tmp_path / "second", *arms, *quick)
    rows = json.loads((tmp_path / "second" / "report" / "report.json").read_text())["accuracies"]
    assert status == 0 and {row["tested on"] for row in rows} == {"source", "target", "adapted"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["labelled", "nowhere"], "no labelled set"),
        (["classify", "nowhere"], "no labelled set"),
        (["audit", "--comparison", "nowhere"], "no classifier trained on source"),
        (["classify", "nowhere", "--arm", "magic"], "--arm is one of source, adapted"),
    ],
)
def test_what_goes_wrong_is_said(run, words, said):
    status, _, err = run(*words)
    assert status == (2 if "magic" in words else 1) and said in err
