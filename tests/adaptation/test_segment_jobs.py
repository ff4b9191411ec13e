"""The comparison as a task: what it is given it keeps, it goes on after a stop, and its report shows it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from core.adaptation.figures import curves_figure
from core.adaptation.jobs import TASKS, in_foreground
from core.adaptation.segment_figures import classes_figure, classes_png, confusion_figure, confusion_png
from core.adaptation.segment_jobs import SegmentTask
from core.adaptation.segment_results import by_class, confusions, segment_curves, tables
from core.adaptation.segment_shown import finished_segmenters, look_at, mapped_tests
from core.data.segmented import load_segmented
from core.jobs.runs import RunFolder
from core.jobs.tasks import Tools
from core.types import Context, ShiftlabError, Stopped
from tests.adaptation.segment_helpers import labelled, quick, scenes, unlabelled, write_backbone

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    folder = tmp_path_factory.mktemp("given")
    source = labelled(folder / "source").save(folder / "source.jsonl")
    target = labelled(folder / "target", shade=0.4, seed=5).save(folder / "target.jsonl")
    unlabelled(folder / "generated", shade=0.4)
    scenes(1, 20, 0.4)[0].image.save(folder / "one.png")
    settings = quick(write_backbone(folder / "mit"), seeds=2)
    return SegmentTask(source=source, target=target, one_shot=folder / "one.png", images=folder / "generated", settings=settings)


def tools(**more) -> Tools:
    return Tools(Context(None, **more), {}, lambda key: None)


@pytest.fixture(scope="module")
def run(task, tmp_path_factory):
    """A run that was stopped once; the one-shot image and an image of the set are gone when it goes on."""
    folder, calls = tmp_path_factory.mktemp("run") / "run", []
    with pytest.raises(Stopped):
        list(in_foreground(task, folder, "night", tools(should_stop=lambda: len(calls) > 8 or calls.append(1))))
    task.one_shot.unlink()
    (task.images / "new.png").write_bytes((task.images / "train0.png").read_bytes()[:-1])
    list(in_foreground(task, folder, "night", tools()))
    return folder


def test_it_keeps_what_it_was_given(task, run):
    assert TASKS["segment"] is SegmentTask and (run / "one_shot.png").is_file()
    assert len(task.domains(run).generated) == 6 and set(segment_curves(run)["arm"]) == {"source", "one_shot", "generated"}
    assert len(RunFolder(run).sample_strip()) == len(segment_curves(run))


def test_the_report_holds_it_all(task, run, tmp_path):
    written = task.export(run, tmp_path / "out", "Night")
    names = {path.name for path in written}
    assert {"curves.csv", "miou.csv", "gains.csv", "classes.csv", "classes_target.png", "confusion_generated_target.png", "legend.png",
            "report.json", "report.html"} <= names and all(path.stat().st_size for path in written)  # fmt: skip
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "data:image/png;base64" in page and "generated images" in page and 'src="http' not in page
    facts = json.loads((tmp_path / "out" / "report.json").read_text())
    assert facts["settings"]["settings"]["iterations"] == 6 and len(facts["gains"]) == 4


def test_scenes_are_looked_at(task, run):
    found = finished_segmenters(run)
    shown = look_at(mapped_tests(task.domains(run), 16, run, "target"), 0, found)
    assert [word for word, _ in shown] == ["image", "truth", "source only", "the one image", "generated images"]
    assert {image.size for _, image in shown} == {(32, 16)}
    with pytest.raises(ShiftlabError, match="no labelled scenes of the target"):
        mapped_tests(task.model_copy(update={"target": None}).domains(run), 16, run, "target")


def test_figures_show_what_was_measured(run):
    figure = curves_figure(segment_curves(run), "run", "miou", "iteration")
    assert {trace.name for trace in figure.data if trace.name} == {"source only", "the one image", "generated images"}
    table, matrix = by_class(run), confusions(run, "source", "target")
    assert len(classes_figure(table, "run").data) == 3 and len(confusion_figure(matrix, "run").data) == 1
    assert classes_png(table)[:4] == confusion_png(matrix)[:4] == b"\x89PNG"
    assert not classes_figure(table.iloc[:0], "run").data and not confusion_figure(matrix.iloc[:0], "run").data


def test_a_target_that_measures_nothing_is_refused_before_anything_is_carried(task, tmp_path):
    target = load_segmented(task.target)
    index = replace(target, items=tuple(target.split("train"))).save(tmp_path / "train.jsonl")
    wrong = task.model_copy(update={"target": index, "arms": ("source", "carried"), "images": None, "one_shot": None})
    with pytest.raises(ShiftlabError, match="All scenes of the labelled target are for training"):
        next(in_foreground(wrong, tmp_path / "run", "night", tools()))


def test_source_only_is_taken_over_where_nothing_differs(task, run, tmp_path):
    again = task.model_copy(update={"earlier": run, "arms": ("source",), "images": None, "one_shot": None})
    events = list(in_foreground(again, tmp_path / "same", "fog", tools()))
    trained = [event for event in events if event.phase.startswith("train")]
    assert [event.step for event in trained] == [6, 12] and "taken over" in trained[0].note
    before, after = (tables(folder, "source", [0, 1], "target") for folder in (run, tmp_path / "same"))
    assert (before == after).all()
    other = again.model_copy(update={"settings": again.settings.model_copy(update={"learning_rate": 1e-4, "seeds": 1})})
    assert len([event for event in in_foreground(other, tmp_path / "other", "fog", tools()) if event.phase.startswith("train")]) == 6
