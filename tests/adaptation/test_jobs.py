"""The whole story in the lab's queue: adapt, compare, audit, compare again without what was dropped, report."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from core.adaptation.adapt import adapted_set
from core.adaptation.audit import AuditSettings, dropped, read_audit, voted
from core.adaptation.classifier import ClassifierSettings
from core.adaptation.classify import classifier_file, prediction_file
from core.adaptation.jobs import ADAPTED, AdaptTask, AuditTask, ClassifyTask, in_foreground
from core.adaptation.results import curves, finished
from core.data.edits import save_edit
from core.jobs.tasks import Tools
from core.lab import Lab
from core.methods import METHODS
from core.types import ShiftlabError
from tests.adaptation.helpers import QUICK, random_edit, split_set
from tests.jobs.helpers import finished as ended

SETTINGS = ClassifierSettings(epochs=1, seeds=1)


@pytest.fixture(scope="module")
def lab(checkpoints, context, tmp_path_factory):
    save_edit(checkpoints / "edits" / "sketch.safetensors", random_edit(context.base), context.base.state_dict())
    opened = Lab(tmp_path_factory.mktemp("lab") / "home", checkpoints, "cpu", precision="fp32")
    yield opened
    opened.close()


@pytest.mark.long
def test_from_a_set_to_a_report(lab, tmp_path, monkeypatch):
    index = split_set(tmp_path / "in", 8).save(tmp_path / "set.jsonl")
    key = lab.edits()[0].key
    adapt = lab.start(AdaptTask(index=index, method="diffusionclip", settings=QUICK, edits=(key,), batch=4), "Faces to sketches")
    assert ended(lab, adapt) == "done" and (lab.get(adapt).kind, lab.get(adapt).step) == ("adapt", 16)
    assert lab.events(adapt)[-1]["images_per_s"] > 0
    out = lab.get(adapt).folder / ADAPTED
    assert len(adapted_set(out)) == 16

    task = ClassifyTask(index=index, adapted=out, column="class", settings=SETTINGS, target=index)
    first = lab.start(task, "Bright or dark")
    assert ended(lab, first) == "done" and finished(lab.get(first).folder) == {"source": [0], "adapted": [0]}

    classifier = classifier_file(lab.get(first).folder, "source", 0)
    prompts = {"no": "a dark picture", "yes": "a bright picture"}
    alike = AuditTask(adapted=out, column="class", classifier=classifier, prompts=dict.fromkeys(prompts, "a picture"))
    monkeypatch.setattr(lab.clip, "least_direction", 1e-4)
    blind = lab.start(alike, "Audit")
    assert ended(lab, blind) == "failed" and "sees no difference between the prompts of 'no' and 'yes'" in lab.get(blind).message
    audit = lab.start(AuditTask(adapted=out, column="class", classifier=classifier, prompts=prompts), "Audit")
    assert ended(lab, audit) == "done"
    table = read_audit(lab.get(audit).folder / "audit.csv")
    assert {"name", "label", "classifier", "clip", "identity"} <= set(table) and len(table) == 16
    names = dropped(table, AuditSettings(), by_hand=(adapted_set(out).split("train")[0].name,))
    assert names

    update = {"arms": ("source", "adapted", "audited"), "dropped": names, "earlier": lab.get(first).folder}
    again = lab.start(task.model_copy(update=update), "Without them")
    assert ended(lab, again) == "done" and finished(lab.get(again).folder) == {"source": [0], "adapted": [0], "audited": [0]}
    assert "Taken over from the comparison before: source, adapted." in (lab.get(again).folder / "log.txt").read_text()
    assert prediction_file(lab.get(again).folder, "source", 0).samefile(prediction_file(lab.get(first).folder, "source", 0))
    assert len(curves(lab.get(again).folder)) == 3
    written = task.export(lab.get(first).folder, tmp_path / "report", "Bright or dark")
    assert "data:image/png;base64" in written[-1].read_text(encoding="utf-8")


def test_what_cannot_run_says_so(lab, tmp_path):
    index = split_set(tmp_path / "in", 2).save(tmp_path / "set.jsonl")
    unknown = lab.start(AdaptTask(index=index, method="magic", settings={}), "x")
    assert ended(lab, unknown) == "failed" and "edits nothing" in lab.get(unknown).message
    early = lab.start(ClassifyTask(index=index, adapted=tmp_path, column="class"), "y")
    assert ended(lab, early) == "failed" and "no adapted set" in lab.get(early).message
    tools = Tools(lab.context(), METHODS, lab.load_edit)
    task = AdaptTask(index=index, method="diffusionclip", settings=QUICK)
    list(in_foreground(task, tmp_path / "run", "z", tools))
    for other in (task.model_copy(update={"seed": 1}), ClassifyTask(index=index, adapted=tmp_path, column="class")):
        with pytest.raises(ShiftlabError, match="other settings"):
            list(in_foreground(other, tmp_path / "run", "z", tools))


def test_a_run_of_an_older_lab_goes_on(lab, tmp_path):
    task = AdaptTask(index=split_set(tmp_path / "in", 2).save(tmp_path / "set.jsonl"), method="diffusionclip", settings=QUICK)
    tools = Tools(lab.context(), METHODS, lab.load_edit)
    list(in_foreground(task, tmp_path / "run", "z", tools))
    facts = json.loads((tmp_path / "run" / "settings.json").read_text())
    del facts["settings"]["earlier"]  # which it did not know
    (tmp_path / "run" / "settings.json").write_text(json.dumps(facts))
    assert list(in_foreground(task, tmp_path / "run", "z", tools))[-1].step == 4


def test_thresholds_move_without_asking_again():
    table = pd.DataFrame({"name": ["a", "b", "c"], "classifier": [0.1, 0.4, 0.9], "clip": [0.2, 0.9, 0.9], "identity": [0.9, 0.9, 0.1]})
    assert list(voted(table, AuditSettings())["name"]) == ["a", "b", "c"]
    assert dropped(table, AuditSettings()) == ("a",)
    assert dropped(table, AuditSettings(votes=1)) == ("a", "b", "c")
    assert dropped(table, AuditSettings(votes=1), by_hand=("z",), spared=("a", "c")) == ("b", "z")
    assert dropped(table[["name", "classifier"]], AuditSettings()) == ("a", "b")  # one witness alone decides
