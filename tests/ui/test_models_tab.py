"""The Models tab's handlers on a real lab of tiny models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
import torch

from core.data.edits import save_edit
from core.lab import Lab
from core.types import Edit, EditCard
from tests.tiny import write_base, write_identity
from ui.models_bring import AS_EDIT
from ui.models_tab import Looking, ModelsTab
from ui.state import create_shared


class Visitor:
    """One visitor's page."""

    def __init__(self, tab: ModelsTab) -> None:
        self.tab, self.looking = tab, Looking()
        self.values: dict[Any, Any] = dict.fromkeys(tab.bring.inputs()) | {tab.looking: self.looking}
        self.shown: dict[Any, str] = {}
        self.take(tab.opened(self.values))

    def take(self, updates: dict[Any, Any]) -> dict[Any, Any]:
        assert updates, "Gradio takes an empty dict for a value"
        for part, update in updates.items():
            change = update if isinstance(update, dict) and "__type__" in update else {"value": update}
            if "value" in change:
                self.values[part] = self.shown[part] = change["value"]
        return updates

    def press(self, do: str, kind: str, name: str) -> str:
        self.take(self.tab.press(self.values, SimpleNamespace(_data={"do": do, "kind": kind, "name": name})))
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


@pytest.fixture
def visitor(lab: Lab) -> Visitor:
    with gr.Blocks() as page:
        shared = create_shared(page)
        with gr.Tabs() as shared.tabs, gr.Tab("Models", id="models") as shared.tab["models"]:
            tab = ModelsTab(lab, shared)
            tab.wire()
    return Visitor(tab)


def test_what_is_loaded_and_what_is_not(visitor, lab):
    cards = visitor.shown[visitor.tab.loaded]
    assert "tiny base" in cards and lab.base.fingerprint in cards and "none is loaded" in cards
    found = visitor.shown[visitor.tab.list]
    assert found.count("in use") == 3 and "DDPM, CelebA-HQ faces" in found and "apache-2.0" in found


def test_a_base_is_brought_used_and_removed(visitor, lab, tmp_path):
    b = visitor.tab.bring
    assert "diffusers UNet2DModel" in visitor.inspect(write_base(tmp_path / "mine", seed=1))
    visitor.values[b.name] = "mine"
    assert "calm" in visitor.take(visitor.tab.bring_in(visitor.values))[visitor.tab.message]
    said = visitor.press("use", "base", "mine")
    assert "“pencil sketch” belongs to the base before" in said and "calm" not in said
    assert lab.models()[0].where == lab.home / "models" / "mine"
    assert "Choose another model" in visitor.press("sure", "base", "mine")
    assert "Prompts and settings stay" in visitor.press("use", "base", "embedded")
    visitor.press("remove", "base", "mine")
    assert "Remove for good" in visitor.shown[visitor.tab.list]
    visitor.press("sure", "base", "mine")
    assert not (lab.home / "models" / "mine").exists()


def test_what_cannot_be_used_is_refused_with_its_reason(visitor, tmp_path):
    torch.save({"text_model.embedding": torch.zeros(1)}, tmp_path / "other.pt")
    assert "a text encoder" in visitor.inspect(tmp_path / "other.pt")
    assert "no nothing.pt at this path" in visitor.inspect(tmp_path / "nothing.pt")
    assert visitor.looking.facts is None
    assert "Inspect the file first" in visitor.take(visitor.tab.bring_in(visitor.values))[visitor.tab.bring.found]


def test_an_edit_is_brought_as_a_file(visitor, lab, tmp_path):
    assert "edit by diffusionclip" in visitor.inspect(tmp_path / "checkpoints" / "edits" / "sketch.safetensors")
    assert visitor.values[visitor.tab.bring.use] == AS_EDIT
    visitor.values[visitor.tab.bring.name] = "Hers"
    visitor.take(visitor.tab.bring_in(visitor.values))
    assert lab.load_edit("brought/hers").card.name == "Hers"


def test_models_stay_while_a_run_needs_them(visitor, lab):
    lab.jobs.add("run", "sketch", "diffusionclip", "tune", lab.runs / "run", {})
    assert "A run is under way or waiting" in visitor.press("use", "base", "embedded")
