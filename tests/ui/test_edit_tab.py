"""The Edit tab's handlers on a lab without networks: what is asked for, what is shown, what is kept."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from core.data.frame import Frame
from core.data.images import decode_image
from core.data.png import read_request, write_png
from tests.ui.fake_lab import PHOTO, SKETCH, FakeLab, entry
from tests.ui.visitor import Visitor
from ui import edit_face
from ui.edit_layout import COMPARE, DIFFERENCE, SLIDER
from ui.edit_tab import EditTab
from ui.state import ToEdit


def test_the_page_starts_with_an_example_an_edit_and_its_settings(visitor: Visitor) -> None:
    c = visitor.tab.controls
    assert visitor.session.picture is not None
    assert visitor.values[c.edit] == "pencil-sketch"
    assert (visitor.values[c.reference], visitor.values[c.target]) == (PHOTO, SKETCH)
    assert visitor.values[c.preset] == "Pencil sketch"
    assert visitor.values[c.forms["diffusionclip"].components["return_step"]] == 601


def test_a_press_shows_a_coarse_picture_first_and_keeps_the_full_one(visitor: Visitor, lab: FakeLab) -> None:
    visitor.run()
    assert [request.settings.generation_steps for request in lab.asked] == [6, 40]
    assert [shot.number for shot in visitor.session.shots] == [1]
    assert lab.scored == 1, "the first look waits for no scores"
    assert visitor.session.shown is not None and not visitor.session.shown.coarse
    before, after = (decode_image(path) for path in visitor.shown[visitor.tab.results.slider])
    assert before.size == after.size == (640, 640)
    assert 'aria-valuenow="0.70"' in visitor.shown[visitor.tab.results.scores]


def test_a_newer_request_stops_the_full_picture(visitor: Visitor, lab: FakeLab) -> None:
    for updates in visitor.tab.runner.press(visitor.values):
        visitor.take(updates)
    reached: list[int] = []

    def change_of_mind(step: int) -> None:
        reached.append(step)
        if step == 5:
            visitor.session.new_ticket()

    lab.on_step = change_of_mind
    assert [u for u in visitor.tab.runner.full(visitor.values) if visitor.tab.results.slider in u] == []
    assert max(reached) == 5
    assert visitor.session.shots == []


def test_a_choice_that_is_told_twice_is_carried_out_once(visitor: Visitor, lab: FakeLab) -> None:
    """Gradio sends a list's `input` twice, and both lead to a coarse and a full picture."""
    runner, step = visitor.tab.runner, visitor.tab.controls.forms["diffusionclip"].components["return_step"]
    for handler in (runner.live_coarse, runner.live_coarse, runner.live_full, runner.live_full):
        for updates in handler(visitor.values):
            visitor.take(updates)
    assert [request.settings.generation_steps for request in lab.asked] == [6, 6, 40]
    visitor.values[step] = 301
    list(runner.live_full(visitor.values))
    assert lab.asked[-1].settings.return_step == 301, "what was sent in between is not what is asked for now"
    visitor.run()
    visitor.run()
    assert len(lab.asked) == 8, "the button does it again"


def test_live_off_leaves_everything_to_the_button(visitor: Visitor, lab: FakeLab) -> None:
    visitor.values[visitor.tab.controls.live] = False
    assert list(visitor.tab.runner.live_coarse(visitor.values)) == list(visitor.tab.runner.live_full(visitor.values)) == []
    assert lab.asked == []


def test_prompts_without_an_edit_go_to_tune(visitor: Visitor) -> None:
    c, shared = visitor.tab.controls, visitor.tab.shared
    updates = visitor.type(PHOTO, "a bronze statue of a person")
    assert visitor.values[c.edit] is None
    assert updates[c.go]["value"] == "Fine-tune for these prompts"
    visitor.run()
    handed = visitor.shown[shared.to_tune]
    assert handed.method == "diffusionclip"
    assert handed.settings == {"reference_prompt": PHOTO, "target_prompt": "a bronze statue of a person", "return_step": 601}
    assert handed.images == (visitor.session.picture,)


@pytest.mark.parametrize(
    ("reference", "target", "said"),
    [(PHOTO, "  ", "target prompt is empty"), ("", SKETCH, "reference prompt is empty"), (PHOTO, PHOTO + ".", "Both prompts say the same")],
)
def test_prompts_that_say_nothing_are_answered_in_words(visitor: Visitor, reference: str, target: str, said: str) -> None:
    visitor.type(reference, target)
    visitor.run()
    assert said in visitor.shown[visitor.tab.controls.message]
    assert visitor.tab.shared.to_tune not in visitor.shown


def test_prompts_are_matched_whatever_their_case_and_spaces(visitor: Visitor) -> None:
    visitor.type(" A photo of a person ", "a  Pencil sketch of a person.")
    assert visitor.values[visitor.tab.controls.edit] == "pencil-sketch"


def test_an_edit_brings_the_guidance_that_it_was_shown_with(visitor: Visitor, lab: FakeLab) -> None:
    c = visitor.tab.controls
    guidance, step = (c.forms["diffusionclip"].components[name] for name in ("attention_guidance", "return_step"))
    lab.offered.append(entry("cartoon", "a cartoon of a person"))
    lab.offered[-1].card.settings["attention_guidance"] = 0.5
    visitor.type(PHOTO, "a cartoon of a person")
    assert (visitor.values[c.edit], visitor.values[guidance]) == ("cartoon", 0.5)
    visitor.values[step] = 301
    visitor.type(PHOTO, SKETCH)
    assert (visitor.values[guidance], visitor.values[step]) == (0.0, 301), "the return step is the person's"
    visitor.values[c.edit] = "cartoon"
    visitor.take(visitor.tab.chooser.choose_edit(visitor.values))
    assert (visitor.values[guidance], visitor.values[step]) == (0.5, 601)
    visitor.run()
    assert [request.settings.attention_guidance for request in lab.asked] == [0.0, 0.5], "the first look waits for no guidance"
    assert visitor.shown[visitor.tab.results.gallery][0][1] == "1 · cartoon · t 601 · × 1 · guided 0.5"


def test_a_preset_chooses_its_edit_as_that_was_trained(visitor: Visitor, lab: FakeLab) -> None:
    c = visitor.tab.controls
    step, glasses = c.forms["diffusionclip"].components["return_step"], "a photo of a person with glasses"
    visitor.values[c.preset] = "Glasses"
    visitor.take(visitor.tab.chooser.choose_preset(visitor.values))
    assert (visitor.values[c.target], visitor.values[c.edit], visitor.values[step]) == (glasses, None, 401), "the preset's own"
    lab.offered.append(entry("glasses", glasses))
    lab.offered[-1].card.reference_prompt = "a photo of a person without glasses"
    lab.offered[-1].card.settings["return_step"] = 501
    visitor.take(visitor.tab.chooser.choose_preset(visitor.values))
    assert (visitor.values[c.target], visitor.values[c.edit], visitor.values[step]) == (glasses, "glasses", 501)


def test_an_edit_of_another_base_is_refused_by_name(visitor: Visitor) -> None:
    c = visitor.tab.controls
    visitor.values[c.edit] = "alien"
    visitor.take(visitor.tab.chooser.choose_edit(visitor.values))
    assert visitor.values[c.edit] is None
    assert "“alien” was made for another base" in visitor.shown[c.message]


def test_several_edits_in_one_pass(visitor: Visitor, lab: FakeLab) -> None:
    visitor.values[visitor.tab.controls.mixed] = ["my-night", "pencil-sketch"]
    visitor.run()
    assert [edit.card.name for edit in lab.asked[-1].edits] == ["pencil sketch", "my night"]
    assert visitor.session.shots[0].title == "pencil sketch + my night"


def test_what_says_which_picture_is_edited_is_answered_in_order(tab: EditTab) -> None:
    """A cross that is answered after the file that was dropped next takes that picture away, while the page still shows it."""
    c, r = tab.controls, tab.results
    told = {(c.drop, "upload"), (c.drop, "clear"), (c.examples, "select"), (c.face, "input"), (r.gallery, "select")}
    wanted = {(part._id, event) for part, event in told}
    events = [event for event in tab.shared.page.fns.values() if wanted & set(event.targets)]
    assert len(events) == len(told)
    assert {(event.concurrency_id, event.concurrency_limit) for event in events} == {("edit picture", 1)}


def test_a_file_that_is_no_picture_changes_nothing(visitor: Visitor, tmp_path: Path) -> None:
    before = visitor.session.picture
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    visitor.values[visitor.tab.controls.drop] = {"path": str(tmp_path / "broken.png")}
    visitor.take(visitor.tab.drop(visitor.values))
    assert "damaged" in visitor.shown[visitor.tab.controls.message]
    assert visitor.session.picture is before


def test_what_was_said_of_a_refused_file_stays(visitor: Visitor, lab: FakeLab, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    visitor.tab.clear_picture(visitor.values)
    visitor.values[visitor.tab.controls.drop] = {"path": str(tmp_path / "broken.png")}
    visitor.take(visitor.tab.drop(visitor.values))
    for handler in (visitor.tab.runner.live_coarse, visitor.tab.runner.live_full):
        assert list(handler(visitor.values)) == [], "the preview has nothing to follow"
    assert "damaged" in visitor.shown[visitor.tab.controls.message] and lab.asked == []


def test_a_picture_takes_away_what_a_run_said_and_nothing_else(visitor: Visitor, lab: FakeLab) -> None:
    message = visitor.tab.controls.message
    visitor.take({message: "said when the request came back"})
    for updates in visitor.tab.runner.live_full(visitor.values):
        visitor.take(updates)
    assert visitor.shown[message] == "said when the request came back" and len(visitor.session.shots) == 1
    picture, visitor.session.picture = visitor.session.picture, None
    for updates in visitor.tab.runner.full(visitor.values):
        visitor.take(updates)
    assert "There is no picture" in visitor.shown[message]
    visitor.session.picture = picture
    visitor.session.new_ticket()
    for updates in visitor.tab.runner.live_full(visitor.values):
        visitor.take(updates)
    assert visitor.shown[message] == ""


def test_no_picture_is_a_sentence(visitor: Visitor) -> None:
    visitor.tab.clear_picture(visitor.values)
    visitor.run()
    assert "There is no picture" in visitor.shown[visitor.tab.controls.message]


def test_a_downloaded_png_brings_its_request_back(visitor: Visitor, lab: FakeLab) -> None:
    c, r = visitor.tab.controls, visitor.tab.results
    step = c.forms["diffusionclip"].components["return_step"]
    visitor.values |= {step: 301, c.seed: 7}
    visitor.run()
    path = visitor.shown[r.download]
    record = read_request(Path(path))
    assert record is not None and record["settings"]["return_step"] == 301

    other = Visitor(visitor.tab)
    other.take(other.tab.start(other.values))
    other.session.picture = None
    other.values[other.tab.controls.drop] = {"path": path}
    other.take(other.tab.drop(other.values))
    assert other.values[other.tab.controls.forms["diffusionclip"].components["return_step"]] == 301
    assert other.values[other.tab.controls.seed] == 7
    other.run()
    assert lab.asked[-1].images.equal(lab.asked[1].images)
    assert other.session.shots[0].record["settings"] == record["settings"]


def test_a_foreign_record_is_refused_in_words(visitor: Visitor, tmp_path: Path) -> None:
    path = write_png(tmp_path / "x.png", Image.new("RGB", (16, 16)), {"settings": {"return_step": 5000}, "method": "diffusionclip"})
    visitor.values[visitor.tab.controls.drop] = {"path": str(path)}
    visitor.take(visitor.tab.drop(visitor.values))
    assert "Return step must be at most 981" in visitor.shown[visitor.tab.controls.message]


def test_the_history_brings_back_and_compares(visitor: Visitor) -> None:
    r = visitor.tab.results
    step = visitor.tab.controls.forms["diffusionclip"].components["return_step"]
    visitor.run()
    visitor.values[step] = 201
    visitor.run()
    assert [caption for _, caption in visitor.shown[r.gallery]] == ["2 · pencil sketch · t 201 · × 1", "1 · pencil sketch · t 601 · × 1"]
    first = SimpleNamespace(index=1)
    visitor.take(visitor.tab.choose_shot(visitor.values, first))
    assert visitor.values[step] == 601 and visitor.session.shown.number == 1

    visitor.values[r.click] = COMPARE
    visitor.take(visitor.tab.choose_shot(visitor.values, SimpleNamespace(index=0)))
    assert "Return step 201 → 601" in visitor.shown[r.caption]


def test_the_same_request_stands_in_the_history_once(visitor: Visitor) -> None:
    visitor.run()
    visitor.run()
    assert [shot.number for shot in visitor.session.shots] == [2]


def test_views_for_the_keyboard(visitor: Visitor) -> None:
    r = visitor.tab.results
    visitor.run()
    visitor.values[r.view] = DIFFERENCE
    updates = visitor.take(visitor.tab.look(visitor.values))
    assert updates[r.image]["visible"] and not updates[r.slider]["visible"]
    visitor.values[r.view] = SLIDER
    assert visitor.tab.look(visitor.values)[r.slider]["visible"]


def test_what_other_tabs_hand_over(visitor: Visitor) -> None:
    visitor.values[visitor.tab.shared.to_edit] = ToEdit("my-night")
    visitor.take(visitor.tab.handed(visitor.values))
    assert visitor.values[visitor.tab.controls.edit] == "my-night"


def test_an_opening_tab_says_nothing_of_controls_that_are_being_written(tab: EditTab) -> None:
    """The browser selects the tab while it loads and when an edit is handed over; its answer could come after the one that counts."""
    visitor = Visitor(tab)
    c, to_edit = tab.controls, tab.shared.to_edit
    visitor.take(tab.start(visitor.values))
    assert c.edit not in tab.opened(visitor.values), "it has not been told yet that the page shows the start"
    visitor.take(tab.settled(visitor.values))
    assert c.edit in tab.opened(visitor.values)
    visitor.values[to_edit] = ToEdit("my-night")
    gone = visitor.values | {c.edit: "run/deleted"}
    assert c.edit not in tab.opened(gone)
    visitor.take(tab.handed(gone))
    assert c.edit not in tab.opened(gone), "these values are older than what was handed over"
    visitor.take(tab.settled(visitor.values))
    assert "value" not in tab.opened(visitor.values)[c.edit] and visitor.values[c.edit] == "my-night"


def test_without_any_edit_the_button_offers_to_train(tab: EditTab, lab: FakeLab) -> None:
    lab.offered = []
    visitor = Visitor(tab)
    updates = visitor.take(visitor.tab.start(visitor.values))
    assert updates[visitor.tab.controls.go]["value"] == "Fine-tune for these prompts"
    assert visitor.values[visitor.tab.controls.target] == SKETCH


@pytest.fixture
def face_base(lab: FakeLab, monkeypatch: pytest.MonkeyPatch) -> FakeLab:
    """A base of photographed faces; every wide picture shows two, and others none."""
    found = [Frame((20.0, 15.0), (8.0, 1.0)), Frame((45.0, 15.0), (6.0, 0.0))]
    monkeypatch.setattr(edit_face, "frames", lambda image: found if image.width > image.height else [])
    monkeypatch.setattr(lab.base, "domain", "celebahq", raising=False)
    return lab


def test_a_photograph_is_edited_by_its_face_and_gets_it_back(visitor: Visitor, face_base: FakeLab, tmp_path: Path) -> None:
    tab, c, r = visitor.tab, visitor.tab.controls, visitor.tab.results
    photo = Image.linear_gradient("L").resize((60, 30)).convert("RGB")
    photo.putpixel((0, 0), (9, 8, 7))
    photo.save(tmp_path / "two.png")
    visitor.values[c.drop] = {"path": str(tmp_path / "two.png")}
    updates = visitor.take(tab.drop(visitor.values))
    assert [value for _, value in updates[c.face]["choices"]] == [0, 1, -1] and updates[c.face]["visible"]
    visitor.values[c.face] = 1
    visitor.take(tab.choose_face(visitor.values))
    visitor.run()
    assert face_base.asked[-1].images.shape == (1, 3, 16, 16)
    assert visitor.session.shown.record["picture"]["face"] == [45.0, 15.0, 6.0, 0.0]
    visitor.values[r.in_photo] = True
    visitor.take(tab.choose_whole(visitor.values))
    with Image.open(visitor.values[r.download]) as saved:
        assert saved.size == (60, 30) and saved.getpixel((0, 0)) == (9, 8, 7)
    assert read_request(Path(visitor.values[r.download]))["method"] == "diffusionclip"


def test_without_a_face_the_picture_is_taken_whole(visitor: Visitor, face_base: FakeLab) -> None:
    tab, c = visitor.tab, visitor.tab.controls
    updates = visitor.take(tab.opened(visitor.values))  # the base was switched meanwhile
    assert updates[c.face]["choices"] == [("No face found: the whole picture", -1)]
    visitor.run()
    assert visitor.session.shown.picture.frame is None
    visitor.take(tab.choose_whole(visitor.values | {tab.results.in_photo: True}))
    assert visitor.session.shown.pair(True) == visitor.session.shown.pair(False)
