"""The One-shot tab's handlers from the target image to the segmenters, on jobs that are rows in a list."""

from __future__ import annotations

import time
from pathlib import Path
from zipfile import ZipFile

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from core.adaptation.jobs import in_foreground
from core.adaptation.segment_jobs import SegmentTask
from core.data.segmented_write import Scene, write_segmented_zip
from core.jobs.fetch import Fetcher
from core.jobs.tasks import Tools
from core.methods import METHODS
from core.types import Context
from tests.adaptation.segment_helpers import CLASSES, QUICK, scenes, write_backbone
from tests.ui.oneshot_lab import OneShotLab, drawn, learned
from ui.oneshot_chain import AS_IT_WAS, Seen
from ui.oneshot_generate import counted_html
from ui.oneshot_tab import OneShotTab
from ui.state import LabImage, create_shared


def controls(tab):
    """Everything that a handler may read."""
    return tab._inputs().union(*(step.inputs() for step in tab.steps.values() if hasattr(step, "inputs")))


class Guest:
    """One visitor: the values in the components, changed as the handlers say."""

    def __init__(self, tab: OneShotTab) -> None:
        self.tab, self.seen, self.shown = tab, Seen(), {}
        self.values = {part: getattr(part, "value", None) for part in controls(tab)} | {tab.seen: self.seen}
        self.take(tab.loaded(self.values))

    def take(self, updates: dict) -> None:
        assert updates and set(updates) <= set(self.tab._outputs())
        for part, update in updates.items():
            change = update if isinstance(update, dict) and "__type__" in update else {"value": update}
            self.shown.setdefault(part, {}).update(change)
            if "value" in change and part in self.values:
                self.values[part] = change["value"]

    def does(self, what, **values) -> None:
        self.values |= values
        self.take(self.tab.doing(what)(self.values))

    def starts(self, step) -> None:
        self.take(self.tab.with_chain(step.start)(self.values))

    def goes_to(self, step: str) -> None:
        self.take(self.tab._to(step, self.values))

    def looks(self) -> None:
        self.take(self.tab.tick(self.values))

    def sees(self, part) -> str:
        return str(self.shown.get(part, {}).get("value", ""))

    @property
    def told(self) -> str:
        return self.sees(self.tab.message)


@pytest.fixture
def tab(tmp_path):
    with gr.Blocks() as page:
        shared = create_shared(page)
        with gr.Tabs() as shared.tabs, gr.Tab("One-shot", id="oneshot") as shared.tab["oneshot"]:
            made = OneShotTab(OneShotLab(tmp_path / "home"), shared)
            made.wire()
    return made


@pytest.fixture
def guest(tab):
    """A visitor whose target image is an example."""
    guest = Guest(tab)
    guest.does(lambda values, seen: tab.image.take_example("night 1"))
    return guest


def test_nothing_starts_without_what_it_needs(tab):
    guest = Guest(tab)
    assert "No target image yet" in tab.image.told.value and tab.lab.rows == []
    for step, words in ((tab.personalise, "step 1"), (tab.segment, "no source set")):
        guest.starts(step)
        assert words in guest.told and tab.lab.rows == []
    guest.does(tab.image.take_from_data)
    assert "Data tab holds no one-shot image" in guest.told


def test_an_image_is_brought_from_anywhere_and_survives_a_reload(tab, tmp_path):
    guest = Guest(tab)
    Image.new("RGB", (40, 30), "navy").save(tmp_path / "dusk.png")
    guest.values[tab.image.drop] = str(tmp_path / "dusk.png")
    guest.does(tab.image.upload)
    assert "40 × 30 pixels" in guest.sees(tab.image.told) and ">dusk<" in guest.sees(tab.rail) and guest.told == ""
    (tmp_path / "text.png").write_text("no picture")
    guest.values[tab.image.drop] = str(tmp_path / "text.png")
    guest.does(tab.image.upload)
    assert guest.told and "40 × 30" in guest.sees(tab.image.told)
    guest.values[tab.shared.one_shot] = [LabImage("mine.png", Image.new("RGB", (64, 32)))]
    guest.looks()
    assert guest.shown[tab.image.from_data]["visible"]
    guest.does(tab.image.take_from_data)
    assert "64 × 32" in guest.sees(tab.image.told) and ">mine<" in Guest(tab).sees(tab.rail)


@pytest.mark.long
def test_the_token_and_the_crop_are_checked_before_anything_runs(guest, tmp_path):
    tab, step = guest.tab, guest.tab.personalise
    guest.goes_to("personalise")
    token = step.form.components["token"]
    for word, words in (("night", "common word"), ("sks", "rifle"), ("two words", "must be one token"), ("ohwx", "without a meaning")):
        guest.values[token] = word
        guest.does(step.check_token)
        assert words in guest.sees(step.token_said)
    guest.values[token] = "xyzzyxyzzy"
    guest.starts(step)
    assert "must be one token" in guest.told and tab.lab.rows == []
    guest.values[token] = "ohwx"
    tab.shelves.shots.take(Image.new("RGB", (40, 12)), "low")
    guest.starts(step)
    assert "40×12 pixels, smaller than" in guest.told and tab.lab.rows == []


@pytest.mark.long
def test_personalising_is_watched_and_its_checkpoint_chosen(guest):
    tab, step = guest.tab, guest.tab.personalise
    guest.goes_to("personalise")
    guest.values[step.preset] = "Paper: whole networks, 1,000 updates"
    guest.does(step.choose_preset)
    assert guest.values[step.form.components["rank"]] == 0 and "section 4" in guest.sees(step.provenance)
    guest.starts(step)
    row = tab.lab.rows[0]
    assert row.kind == "personalise" and row.settings["settings"]["text_encoder"] and Path(row.settings["images"][0]).is_file()
    row.state, row.step, row.total, row.eta_s = "running", 150, 1000, 65.0
    guest.looks()
    assert "150 of 1,000" in guest.sees(tab.rail) and guest.shown[step.save]["visible"]
    assert Guest(tab).seen.step == "personalise"  # a reload in the middle
    guest.does(step.line.asks(tab.lab.save_now))
    assert tab.lab.asked_for == [("save", row.id)]
    learned(row)
    guest.looks()
    assert "step 200 is used" in guest.sees(tab.rail) and guest.values[step.picker.part] == 200
    guest.values[step.picker.part] = 100
    guest.does(step.picker.choose)
    assert "step 100 is used" in Guest(tab).sees(tab.rail)
    guest.values[step.picker.part] = "step 7"
    guest.does(step.picker.choose)
    assert "There is no checkpoint" in guest.told
    tab.image.take_example("fog 1")
    assert tab.chain().personalise is None
    guest.values[step.run] = row.id
    guest.take(tab.with_chain(step.choose_run)(guest.values))
    assert tab.chain().choices.name == "street, night 1"  # the run brings its image back


def test_generating_reads_the_table_and_shows_whether_it_collapsed(guest):
    tab, step = guest.tab, guest.tab.generate
    guest.goes_to("generate")
    assert "<b>240</b> pictures of 12 classes" in step.counted.value
    shown = step.choose_each({step.each: 3, step.table: [["car", 20], ["bus", 5]]}, guest.seen)
    assert shown[step.table] == [["car", 3], ["bus", 3]] and "<b>6</b> pictures of 2 classes" in shown[step.counted]
    for rows, words in (([["car", "many"]], "“many” is no number"), ([["", 4], ["car", 0]], "no class to generate"), ([["car", -1]], "-1")):
        guest.values[step.table] = rows
        guest.starts(step)
        assert words in guest.told and tab.lab.rows == []
    assert "&lt;img src=x&gt;" in counted_html([["<img src=x>", "many"]])
    guest.values[step.table] = [["car", 3], [" bus ", "2"], ["", None]]
    guest.starts(step)
    row = tab.lab.rows[0]
    assert row.settings["table"] == [["car", 3], ["bus", 2]] or row.settings["table"] == (("car", 3), ("bus", 2))
    assert row.settings["weights"] is None and tab.chain().choices.step != AS_IT_WAS
    drawn(row)
    guest.looks()
    gallery = guest.sees(step.gallery)
    assert gallery.count("<figcaption>car<") == 3 and "5 pictures" in gallery
    assert "collapsed" in guest.sees(step.said) and "distance 0.010" in guest.sees(step.said)
    with ZipFile(guest.sees(step.export)) as file:
        assert "metadata.csv" in file.namelist() and "00004.png" in file.namelist()
    again = Guest(tab)
    again.goes_to("generate")
    assert again.values[step.table] == [["car", 3], ["bus", 2]]


def bring(guest, which: str, path: Path) -> None:
    sets = guest.tab.segment.sets
    guest.values[getattr(sets, f"{which}_drop")] = str(path)
    guest.does(getattr(sets, f"upload_{which}"))


def read_now(guest, which: str) -> None:
    """The reader's thread is waited for."""
    deadline = time.monotonic() + 30
    while not getattr(guest.tab.chain(), which).ready and getattr(guest.tab.chain(), which).state == "running":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    guest.looks()


@pytest.fixture
def sets(guest, tmp_path):
    """A visitor in step 4 with both sets."""
    guest.goes_to("segment")
    for which, shade in (("source", 1.0), ("target", 0.4)):
        found = [*scenes(6, 0, shade), *scenes(4, 1, shade, "test")]
        bring(guest, which, write_segmented_zip(tmp_path / f"{which}.zip", found, CLASSES))
        read_now(guest, which)
    return guest


def test_masks_of_another_size_are_named(guest, tmp_path):
    guest.goes_to("segment")
    wrong = [Scene("wrong", Image.new("RGB", (32, 16)), np.zeros((8, 16), np.uint8), "train")]
    bring(guest, "source", write_segmented_zip(tmp_path / "some.zip", [*scenes(4), *wrong], CLASSES))
    read_now(guest, "source")
    told = guest.sees(guest.tab.segment.told)
    assert "4 pictures" in told and "1 file was left out" in told and "another size (16 × 8)" in told
    bring(guest, "source", write_segmented_zip(tmp_path / "none.zip", wrong, CLASSES))
    read_now(guest, "source")
    assert "another size" in guest.sees(guest.tab.segment.told) and "failed" in guest.sees(guest.tab.segment.told)


@pytest.mark.parametrize("which", ["source", "target"])
def test_a_reading_that_a_restart_ended_is_begun_again(sets, which):
    guest, part, shelf = sets, sets.tab.segment.sets, sets.tab.shelves.scenes
    again, entry = getattr(part, f"{which}_again"), getattr(guest.tab.chain(), which)
    shelf.index(entry.id).unlink()
    shelf._reader = Fetcher(shelf._read)  # the lab was started anew
    guest.looks()
    assert "Read it again" in guest.sees(guest.tab.segment.told) and guest.shown[again]["visible"]
    guest.does(getattr(part, f"read_{which}_again"))
    read_now(guest, which)
    assert getattr(guest.tab.chain(), which).ready and not guest.shown[again]["visible"]
    assert "Read it again" not in guest.sees(guest.tab.segment.told)


@pytest.mark.long
def test_the_embedded_streets_are_one_click(guest):
    sets = guest.tab.segment.sets
    guest.goes_to("segment")
    guest.values[sets.count] = 4
    guest.does(sets.draw_source)
    read_now(guest, "source")
    told = guest.sees(guest.tab.segment.told)
    assert "3 to learn from, 1 to test" in told and "traffic" in told
    guest.values[sets.target] = "draw:fog"
    guest.does(sets.choose_target)
    assert guest.tab.chain().target.name == "4 streets, fog"


def test_a_preset_sets_the_training_and_the_carried_scenes(sets):
    guest, step = sets, sets.tab.segment
    for preset, teaches, contrast in (("fog", False, 0.5), ("night", True, 0.0)):
        guest.values[step.preset] = preset
        guest.does(step.choose_preset)
        found = guest.values[step.form.components["carried_teaches"]], guest.values[step.carry.components["contrast"]]
        assert found == (teaches, contrast)


def test_a_target_that_measures_nothing_is_refused_at_once(sets, tmp_path):
    bring(sets, "target", write_segmented_zip(tmp_path / "train.zip", scenes(4, 3), CLASSES))
    read_now(sets, "target")
    sets.values[sets.tab.segment.arms] = ["source"]
    sets.starts(sets.tab.segment)
    assert "All scenes of the labelled target are for training" in sets.told and sets.tab.lab.rows == []


@pytest.mark.long
def test_segmenters_are_compared_and_shown(sets, tmp_path):
    guest, tab, step = sets, sets.tab, sets.tab.segment
    for arms, words in (([], "Tick one"), (["generated"], "Make one in step 3")):
        guest.values[step.arms] = arms
        guest.starts(step)
        assert words in guest.told and tab.lab.rows == []
    quick = {**QUICK, "model": str(write_backbone(tmp_path / "mit"))}
    guest.values |= {step.form.components[name]: value for name, value in quick.items()} | {step.arms: ["source", "one_shot"]}
    guest.starts(step)
    row = tab.lab.rows[0]
    assert guest.told == "" and row.settings["arms"] in (["source", "one_shot"], ("source", "one_shot"))
    for _ in in_foreground(SegmentTask(**row.settings), row.folder, row.name, Tools(Context(None), METHODS, lambda key: None)):
        row.state = "running"
    guest.looks()
    assert "Predictions at update" in guest.sees(step.figures.looks)
    row.state = "done"
    guest.looks()
    figures = step.figures
    assert "mIoU on target goes from" in guest.sees(figures.tables) and "source only" in guest.sees(figures.tables)
    looks = guest.sees(figures.looks)
    assert looks.count('class="over"') == 4 * 3 and 'type="range"' in looks and "sky" in looks  # truth and two segmenters
    assert guest.shown[figures.curves]["value"].data and guest.shown[figures.classes]["value"].data
    files = {kind: Path(guest.sees(button)) for kind, button in figures.buttons.items()}
    assert all(path.is_file() for path in files.values()) and files["png"].read_bytes().startswith(b"\x89PNG")
    guest.values[figures.domain], guest.values[figures.arm] = "source", "source"
    guest.looks()
    assert "Confusion: source only, on source" in str(guest.shown[figures.confusion]["value"].layout.title.text)
    assert "mIoU on target" in Guest(tab).sees(tab.rail)
