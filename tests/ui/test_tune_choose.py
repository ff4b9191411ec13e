"""Choosing in the Tune tab: the form, the presets and the pictures follow the method, by hand or as Edit hands them over."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest

from core.methods.egsde_train import EGSDETune
from core.pretrain import asyrp_states
from core.pretrain.edits import COMMON, RECIPES
from tests.ui.fake_lab import PHOTO, SKETCH, FakeLab
from ui.forms import build_form
from ui.state import ToTune, create_shared
from ui.tune_presets import tune_presets
from ui.tune_tab import TuneTab


@pytest.fixture(scope="module")
def tab() -> TuneTab:
    with gr.Blocks() as page:
        shared = create_shared(page)
        with gr.Tabs() as shared.tabs, gr.Tab("Tune", id="tune") as shared.tab["tune"]:
            return TuneTab(FakeLab(), shared)


def shown(updates: dict[Any, Any], part: Any, what: str = "value") -> Any:
    update = updates[part]
    return update[what] if isinstance(update, dict) else update


def test_only_methods_that_learn_are_offered(tab: TuneTab) -> None:
    assert [key for _, key in tab.controls.method.choices] == ["diffusionclip", "egsde"]


def test_a_method_brings_its_form_its_first_preset_and_the_pictures_it_learns_from(tab: TuneTab) -> None:
    c = tab.controls
    updates = tab.chooser.choose_method({c.method: "egsde"})
    assert set(updates) <= set(tab._outputs())
    assert {key for key, pair in c.columns.items() for column in pair if updates[column]["visible"]} == {"egsde"}
    assert shown(updates, c.preset).startswith("Quick start") and shown(updates, c.targets) == "sketch"
    assert shown(updates, c.forms["egsde"].components["iterations"]) == 400


@pytest.mark.parametrize(("target", "weight", "aim"), [(SKETCH, 0.5, "sketch"), ("a bronze statue of a person", 0.0, None)])
def test_prompts_of_edit_come_on_the_preset_that_suits_them(tab: TuneTab, target: str, weight: float, aim: str | None) -> None:
    c, form = tab.controls, tab.controls.forms["diffusionclip"].components
    given = ToTune("diffusionclip", {"reference_prompt": PHOTO, "target_prompt": target, "return_step": 401})
    updates = tab.chooser.handed({tab.shared.to_tune: given})
    assert shown(updates, form["target_prompt"]) == target and shown(updates, form["return_step"]) == 401
    assert shown(updates, form["image_weight"]) == weight, "pictures of a sketch must not lead to a statue"
    assert updates[c.targets].get("value") == aim


def test_a_form_of_no_fields_is_empty() -> None:
    with gr.Blocks():
        assert build_form(EGSDETune, only=[]).components == {}, "a method without prompts would show its settings twice"


@pytest.mark.parametrize("name", RECIPES)
def test_a_quick_start_is_the_recipe_of_the_shipped_edit(name: str) -> None:
    recipe, presets = RECIPES[name], tune_presets("diffusionclip")
    prompts = {"reference_prompt": recipe.reference, "target_prompt": recipe.target}
    trainings = {"": {}} | ({", second training": recipe.second} if recipe.second else {})
    for ending, differs in trainings.items():
        preset = presets[f"Quick start: {recipe.title.lower()}{ending}"]
        expected = {**COMMON, **recipe.settings, **differs, **prompts}
        assert {field: preset.settings.get(field) for field in expected} == expected and preset.target_images == name


@pytest.mark.parametrize("name", asyrp_states.STOPS)
def test_so_is_asyrp_s_on_other_people(name: str) -> None:
    recipe, stop = asyrp_states.LEARNED[name], asyrp_states.STOPS[name]
    preset = tune_presets("asyrp")[f"Quick start: {name}"]
    prompts = {"reference_prompt": recipe.reference, "target_prompt": recipe.target}
    shown = {"sample_steps": 20, "image_weight": 0.5}  # the page has no pictures of the same people
    expected = {**asyrp_states.COMMON, "images": stop.updates, "epochs": 1, **stop.settings, **prompts, **shown}
    assert {field: preset.settings.get(field) for field in expected} == expected and preset.target_images == name


def test_nothing_of_another_preset_is_left_but_words(tab: TuneTab) -> None:
    c, form = tab.controls, tab.controls.forms["diffusionclip"]
    values = {c.method: "diffusionclip", c.preset: "Quick start: glasses"}
    updates = tab.chooser.choose_preset(values)
    found = {name: shown(updates, form.components[name]) for name in ("w_patches", "w_pairs", "patch_regions", "epochs", "return_step")}
    assert found == {"w_patches": 0.0, "w_pairs": 0.0, "patch_regions": 1, "epochs": 5, "return_step": 501}
    updates = tab.chooser.choose_preset({**values, c.preset: "Paper: defaults"})
    assert "value" not in updates[form.components["target_prompt"]]
