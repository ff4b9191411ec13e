"""The Models tab's handlers on a real lab of tiny models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
import torch
from PIL import Image

from core.data.edits import save_edit
from core.lab import Lab
from core.models.mapping import DDPMConfig
from core.types import Edit, EditCard
from tests.models.random_checkpoints import random_ddpm
from tests.models.test_files import delta_block
from tests.tiny import write_base, write_identity
from ui.models_bring import AS_EDIT, AS_FILE
from ui.models_tab import Looking, ModelsTab
from ui.state import create_shared


def pressed(do: str, kind: str, name: str) -> Any:
    """A press on a button of the list, as Gradio tells it."""
    return SimpleNamespace(_data={"do": do, "kind": kind, "name": name})


class Visitor:
    """One visitor's page."""

    def __init__(self, tab: ModelsTab) -> None:
        self.tab, self.looking = tab, Looking()
        more = (tab.more.reference, tab.more.people, tab.more.align)
        self.values: dict[Any, Any] = dict.fromkeys([*tab.bring.inputs(), *more]) | {tab.looking: self.looking}
        self.shown: dict[Any, str] = {}
        self.take(tab.refresh(self.values))

    def take(self, updates: dict[Any, Any]) -> dict[Any, Any]:
        assert updates, "Gradio takes an empty dict for a value"
        for part, update in updates.items():
            change = update if isinstance(update, dict) and "__type__" in update else {"value": update}
            if "value" in change:
                self.values[part] = self.shown[part] = change["value"]
        return updates

    def press(self, do: str, kind: str, name: str) -> str:
        self.take(self.tab.press(self.values, pressed(do, kind, name)))
        return self.shown[self.tab.message]

    def inspect(self, path: Path) -> str:
        self.values[self.tab.bring.path] = str(path)
        self.take(self.tab.inspect(self.values))
        return self.shown[self.tab.bring.found]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    write_base(tmp_path / "checkpoints" / "base")
    write_identity(tmp_path / "checkpoints" / "identity")
    lab = Lab(tmp_path / "home", tmp_path / "checkpoints", "cpu")
    state = lab.base.state_dict()
    card = EditCard(name="pencil sketch", method="diffusionclip", base_fingerprint=lab.base.fingerprint)
    edit = Edit(card, {key: value + 0.01 for key, value in state.items()})
    save_edit(tmp_path / "checkpoints" / "edits" / "sketch.safetensors", edit, state)
    yield lab
    lab.close()


def tab_of(lab: Lab) -> ModelsTab:
    with gr.Blocks() as page:
        shared = create_shared(page)
        with gr.Tabs() as shared.tabs, gr.Tab("Models", id="models") as shared.tab["models"]:
            tab = ModelsTab(lab, shared)
            tab.wire()
    return tab


@pytest.fixture
def visitor(lab: Lab) -> Visitor:
    return Visitor(tab_of(lab))


def test_what_is_loaded_and_what_is_not(visitor, lab):
    cards = visitor.shown[visitor.tab.loaded]
    assert "tiny base" in cards and lab.base.fingerprint in cards and "none is loaded" in cards
    found = visitor.shown[visitor.tab.list]
    assert found.count("in use") == 4 and "Stable Diffusion 1.5" in found and "DDPM, CelebA-HQ faces" in found and "apache-2.0" in found


def test_a_base_is_brought_used_and_removed(visitor, lab, tmp_path):
    b = visitor.tab.bring
    assert "diffusers UNet2DModel" in visitor.inspect(write_base(tmp_path / "mine", seed=1))
    visitor.values[b.name] = "mine"
    assert "calm" in visitor.take(visitor.tab.bring_in(visitor.values))[visitor.tab.message]
    said = visitor.press("use", "base", "mine")
    assert "“pencil sketch” belongs to the base before" in said and "calm" not in said
    assert lab.models()[0].where == lab.home / "models" / "mine"
    visitor.press("ask remove", "base", "mine")
    assert "Choose another model" in visitor.press("remove", "base", "mine")
    assert "Prompts and settings stay" in visitor.press("use", "base", "embedded")
    visitor.press("remove", "base", "mine")  # not asked about: nothing happens
    visitor.press("ask remove", "base", "mine")
    assert "Remove for good" in visitor.shown[visitor.tab.list] and (lab.home / "models" / "mine").exists()
    visitor.press("remove", "base", "mine")
    assert not (lab.home / "models" / "mine").exists()


def test_what_cannot_be_used_is_refused_with_its_reason(visitor, tmp_path):
    torch.save({"text_model.embedding": torch.zeros(1)}, tmp_path / "other.pt")
    assert "a text encoder" in visitor.inspect(tmp_path / "other.pt")
    assert "There is nothing at" in visitor.inspect(tmp_path / "nothing.pt")
    assert visitor.looking.facts is None
    assert "Inspect the file first" in visitor.take(visitor.tab.bring_in(visitor.values))[visitor.tab.bring.found]


def test_an_edit_is_brought_as_a_file(visitor, lab, tmp_path):
    assert "edit by diffusionclip" in visitor.inspect(tmp_path / "checkpoints" / "edits" / "sketch.safetensors")
    assert visitor.values[visitor.tab.bring.use] == AS_EDIT
    visitor.values[visitor.tab.bring.name] = "Hers"
    visitor.take(visitor.tab.bring_in(visitor.values))
    assert lab.load_edit("brought/hers").card.name == "Hers"


def test_an_edit_of_asyrp_is_brought_with_its_prompts(visitor, lab, tmp_path):
    b = visitor.tab.bring
    torch.save({"0": delta_block("ddpm")}, tmp_path / "smiling.pth")
    assert "edit by Asyrp" in visitor.inspect(tmp_path / "smiling.pth") and visitor.values[b.use] == AS_EDIT
    visitor.values[b.reference], visitor.values[b.target] = "face", "smiling face"
    assert "is here" in visitor.take(visitor.tab.bring_in(visitor.values))[visitor.tab.message]
    card = lab.load_edit("brought/smiling").card
    assert (card.method, card.target_prompt, card.base_fingerprint) == ("asyrp", "smiling face", lab.base.fingerprint)


def test_models_stay_while_a_run_needs_them(visitor, lab):
    lab.jobs.add("run", "sketch", "diffusionclip", "tune", lab.runs / "run", {})
    assert "A run is under way or waiting" in visitor.press("use", "base", "embedded")


def test_nothing_is_downloaded_that_was_not_confirmed(visitor, lab):
    visitor.press("fetch", "base", "ddpm-ema-cat-256")
    visitor.press("ask fetch", "base", "ddpm-ema-cat-256")
    assert "Download 455 MB from google/ddpm-ema-cat-256" in visitor.shown[visitor.tab.list]
    visitor.press("keep", "base", "ddpm-ema-cat-256")
    visitor.press("fetch", "base", "ddpm-ema-cat-256")
    visitor.press("ask fetch", "base", "ddpm-ema-cat-256")
    visitor.press("fetch", "base", "ddpm-ema-church-256")
    assert lab.fetches.list() == []
    visitor.press("ask fetch", "base", "ddpm-ema-cat-256")
    visitor.press("fetch", "base", "ddpm-ema-cat-256")
    assert [fetch.name for fetch in lab.fetches.list()] == ["ddpm-ema-cat-256"]


def test_a_model_that_is_not_in_the_table_stands_in_the_list_once_it_is_asked_for(visitor, lab):
    visitor.values[visitor.tab.more.reference] = "no model"
    assert "no model called" in visitor.take(visitor.tab.fetch(visitor.values))[visitor.tab.message]
    visitor.values[visitor.tab.more.reference] = "someone/faces"
    visitor.take(visitor.tab.fetch(visitor.values))
    assert [fetch.name for fetch in lab.fetches.list()] == ["someone/faces"]
    visitor.take(visitor.tab.refresh(visitor.values))
    assert 'data-name="someone/faces"' in visitor.shown[visitor.tab.list]


def test_a_base_goes_back_into_its_family_s_own_file(visitor, lab, tmp_path):
    b, state = visitor.tab.bring, random_ddpm(DDPMConfig(32, (1, 2), 1, (8,), 16))
    torch.save(state, tmp_path / "mine.ckpt")
    visitor.values[b.image_size] = 16
    assert "DDPM" in visitor.inspect(tmp_path / "mine.ckpt")
    assert "“mine” is here" in visitor.take(visitor.tab.bring_in(visitor.values))[visitor.tab.message]
    visitor.take(visitor.tab.press(visitor.values, pressed("look", "base", "mine")))
    assert "diffusers UNet2DModel" in visitor.shown[b.found] and visitor.values[b.path] == "mine"
    visitor.values[b.use] = AS_FILE
    visitor.take(visitor.tab.choose_use(visitor.values))
    assert visitor.values[b.file] == str(lab.home / "exports" / "mine.ckpt")
    assert "is written" in visitor.take(visitor.tab.bring_in(visitor.values))[visitor.tab.message]
    again = torch.load(lab.home / "exports" / "mine.ckpt", weights_only=True)
    assert again.keys() == state.keys() and all(torch.equal(again[name], state[name]) for name in state)


def test_floor_and_ceiling_are_measured_and_shown(visitor, lab, tmp_path):
    for person, grey in (("ann", 40), ("bea", 200)):
        (tmp_path / "people" / person).mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", (20, 20), (grey, number, grey)).save(tmp_path / "people" / person / f"{number}.png")
    more = visitor.tab.more

    def measure() -> list[str]:
        return [str(visitor.take(updates).get(visitor.tab.message)) for updates in visitor.tab.measure(visitor.values)]

    assert "Name a folder" in measure()[-1]
    visitor.values[more.people], visitor.values[more.align] = str(tmp_path / "nowhere"), False
    assert "There is no folder" in measure()[-1]
    visitor.values[more.people] = str(tmp_path / "people")
    said = measure()
    assert "1 of 4 pictures" in said[0] and "Measured here on 4 pictures of 2 people" in said[-2]
    assert lab.identity.ceiling != 0.9 and "Measured here" in visitor.shown[visitor.tab.loaded]


def test_a_folder_stands_in_for_the_hub(tmp_path):
    write_base(tmp_path / "checkpoints" / "base")
    write_base(tmp_path / "mirror" / "ddpm-ema-cat-256", seed=4)
    lab = Lab(tmp_path / "home", tmp_path / "checkpoints", "cpu", precision="bf16", models=tmp_path / "mirror")
    try:
        visitor = Visitor(tab_of(lab))
        found = visitor.shown[visitor.tab.list]
        assert "stands in for the hub" in found and 'data-do="ask fetch"' not in found
        assert "Base is now" in visitor.press("use", "base", "ddpm-ema-cat-256")
        assert "computes in bfloat16" in visitor.shown[visitor.tab.loaded] and "bfloat16" in lab.status().device
    finally:
        lab.close()
