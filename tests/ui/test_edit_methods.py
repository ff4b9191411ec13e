"""Several methods in the Edit tab: the form, the edits, what lacks, drawing, and the strip of strengths."""

from __future__ import annotations

from types import SimpleNamespace

import gradio as gr
from PIL import Image
from pydantic import Field

from core.types import Settings
from tests.ui.fake_lab import SKETCH, FakeLab, entry
from tests.ui.visitor import Visitor
from ui.adapt_edit import EditStep
from ui.edit_draw import drawing, masked, painted
from ui.edit_strengths import strengths
from ui.session import NOTHING_DRAWN
from ui.state import ToEdit


def test_each_method_brings_its_own_form_and_edits(visitor: Visitor) -> None:
    c = visitor.tab.controls
    for method in visitor.tab.lab.methods:
        visitor.switch(method)
        assert [key for key, column in c.columns.items() if visitor.about[column]["visible"]] == [method]
        assert visitor.about[visitor.tab.canvases.row]["visible"] == (method == "sdedit")
        assert visitor.about[c.strengths]["visible"] == (method == "diffusionclip")
    assert [key for _, key in visitor.about[c.edit]["choices"]] == ["my-night", "pencil-sketch", "alien"]
    assert visitor.about[c.edit]["label"] == "Second base" and visitor.values[c.edit] == "pencil-sketch"


def test_a_method_that_lacks_an_edit_says_so_and_leads_to_its_training(visitor: Visitor) -> None:
    c = visitor.tab.controls
    visitor.switch("egsde")
    assert visitor.values[c.edit] is None and visitor.values[c.go] == "Train a domain classifier"
    assert "EGSDE needs a domain classifier" in visitor.values[c.message]
    visitor.run()
    handed = visitor.shown[visitor.tab.shared.to_tune]
    assert (handed.method, handed.settings) == ("egsde", {})


def test_what_needs_a_second_base_is_led_to_a_method_that_tunes_one(visitor: Visitor, lab: FakeLab) -> None:
    lab.offered = []
    visitor.switch("ddib")
    assert visitor.values[visitor.tab.controls.go] == "Tune a second base"
    visitor.run()
    handed = visitor.shown[visitor.tab.shared.to_tune]
    assert handed.method == "diffusionclip" and handed.settings["target_prompt"] == SKETCH


def test_a_method_that_needs_no_edit_runs_without_and_with_one(visitor: Visitor, lab: FakeLab) -> None:
    lab.offered = []
    visitor.switch("sdedit")
    assert visitor.values[visitor.tab.controls.edit] == ""
    visitor.run()
    assert lab.asked[-1].edits == () and lab.asked[-1].settings.method == "sdedit"


def test_strokes_and_a_mask_are_asked_for_kept_and_brought_back(visitor: Visitor, lab: FakeLab) -> None:
    tab = visitor.tab
    visitor.switch("sdedit")
    layer = Image.new("RGBA", (320, 320))
    layer.paste("red", (0, 0, 160, 320))
    drawn = {"background": None, "layers": [layer], "composite": Image.new("RGBA", (320, 320), "red")}
    drawing(painted)(visitor.session, drawn)
    drawing(masked)(visitor.session, drawn)
    visitor.run()
    request = lab.asked[-1]
    assert request.painted.shape == (1, 3, 16, 16) and request.mask.shape == (1, 1, 16, 16)
    assert request.mask[..., :5].min() > 0.99 and request.mask[..., 11:].max() < 0.01

    visitor.take(tab.choose_picture(visitor.values, SimpleNamespace(index=1)))
    assert visitor.session.drawing.painted is None, "strokes belong to their picture"
    visitor.take(tab.choose_shot(visitor.values, SimpleNamespace(index=0)))
    visitor.run()
    assert lab.asked[-1].mask.equal(request.mask) and lab.asked[-1].painted.equal(request.painted)
    shown = tab.draw_on(visitor.values)
    assert tab.canvases.strokes in shown, "the canvas shows what the request was painted on"
    assert masked(shown[tab.canvases.mask], NOTHING_DRAWN).mask is not None, "and what it kept"
    assert tab.canvases.strokes not in tab.draw_on(visitor.values), "and is then left to the one who paints"

    visitor.switch("diffusionclip")
    visitor.run()
    assert lab.asked[-1].mask is None, "a mask means nothing to it"


def test_an_untouched_canvas_draws_nothing() -> None:
    blank = {"background": None, "layers": [Image.new("RGBA", (8, 8))], "composite": Image.new("RGB", (8, 8))}
    assert painted(blank, NOTHING_DRAWN).painted is None and masked(None, NOTHING_DRAWN).mask is None


def test_the_strip_of_strengths(visitor: Visitor, lab: FakeLab) -> None:
    tab, c = visitor.tab, visitor.tab.controls
    for updates in tab.runner.strip(visitor.values):
        visitor.take(updates)
    captions = [caption for _, caption in visitor.values[tab.results.strip]]
    assert captions == ["0", "+0.167", "+0.333", "+0.5", "+0.667", "+0.833", "+1"]
    assert [request.settings.strength for request in lab.asked] == [0.0, 0.167, 0.333, 0.5, 0.667, 0.833, 1.0]
    strength = c.forms["diffusionclip"].components["strength"]
    visitor.values[strength] = 0.9  # the strip is of the settings before
    visitor.take(tab.choose_strength(visitor.values, SimpleNamespace(index=3)))
    assert visitor.values[strength] == 0.5
    visitor.values[c.method] = "sdedit"  # which knows no strength
    assert strength not in tab.choose_strength(visitor.values, SimpleNamespace(index=0))


def test_a_strip_goes_with_the_next_picture(visitor: Visitor) -> None:
    strip = visitor.tab.results.strip
    for handler in (visitor.tab.runner.strip, visitor.tab.runner.press):
        for updates in handler(visitor.values):
            visitor.take(updates)
        assert visitor.about[strip]["visible"] == (handler == visitor.tab.runner.strip)


def test_a_strength_with_an_opposite_runs_from_minus_to_plus() -> None:
    class Signed(Settings):
        strength: float = Field(0.0, ge=-3, le=3)

    assert strengths(Signed())[::3] == [-1.0, 0.0, 1.0]
    assert strengths(Signed(strength=-2))[::3] == [-2.0, 0.0, 2.0]


def test_an_edit_from_tune_brings_a_method_that_uses_it(visitor: Visitor, lab: FakeLab) -> None:
    lab.offered.append(entry("told-apart", "", method="egsde", weights="own"))
    visitor.values[visitor.tab.shared.to_edit] = ToEdit("told-apart")
    visitor.take(visitor.tab.handed(visitor.values))
    assert visitor.values[visitor.tab.controls.method] == "egsde" and visitor.values[visitor.tab.controls.edit] == "told-apart"
    lab.offered.append(entry("carried", "", method="sdft"))
    visitor.values[visitor.tab.shared.to_edit] = ToEdit("carried")
    visitor.take(visitor.tab.handed(visitor.values))
    assert visitor.values[visitor.tab.controls.method] == "sdedit", "the first that takes a tuned base"


def test_a_base_tuned_to_pictures_comes_before_edits_of_words(visitor: Visitor, lab: FakeLab) -> None:
    lab.offered.append(entry("paintings", "", method="sdft"))
    lab.offered.append(entry("many-paintings", "", method="sdft"))
    lab.offered[-1].card.settings["images"] = 64
    lab.offered.append(entry("told-apart", "", method="egsde", weights="own"))
    c = visitor.tab.controls
    for method, chosen, beside in (
        ("ddib", "many-paintings", []), ("diffusionclip", "pencil-sketch", []), ("egsde", "told-apart", ["many-paintings"]),
    ):  # fmt: skip
        visitor.switch(method)
        assert visitor.values[c.edit] == chosen and visitor.values[c.mixed] == beside
        assert visitor.about[c.preset]["label"] == ("Prompts" if method == "diffusionclip" else "Prompts, for S_dir alone")
    visitor.switch("ddib")
    assert visitor.values[c.mixed] == [], "what another method walked with is not handed on"


def test_adapt_opens_a_method_with_the_same_base_beside_it() -> None:
    lab = FakeLab()
    lab.offered += [entry("paintings", "", method="sdft"), entry("told-apart", "", method="egsde", weights="own")]
    with gr.Blocks():
        step = EditStep(lab)
    updates = step.choose_method({step.method: "egsde"}, SimpleNamespace(edit=""))
    mixed = updates[step.mixed]
    assert updates[step.edit]["value"] == "told-apart" and mixed["value"] == ["paintings"]
    assert mixed["visible"] and mixed["label"] == "Base tuned to the target" and mixed["choices"] and mixed["max_choices"] == 1
    assert not step.choose_method({step.method: "ddib"}, SimpleNamespace(edit=""))[step.mixed]["visible"]
