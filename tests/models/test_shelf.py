"""Which models a lab works with, what it remembers of that, and what happens when a choice is gone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from core.models.files import inspect
from core.models.identity_bounds import bounds_of
from core.models.mapping import DDPMConfig
from core.models.shelf import Shelf
from core.models.zoo import installed
from core.types import Edit, EditCard, ShiftlabError
from tests.models.random_checkpoints import random_ddpm
from tests.tiny import write_base, write_identity


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """An embedded base and no other model."""
    write_base(tmp_path / "checkpoints" / "base")
    (tmp_path / "home").mkdir()
    return Shelf(tmp_path / "home", tmp_path / "checkpoints", torch.device("cpu"))


def test_the_embedded_model_needs_no_choice(shelf):
    told = shelf.told("base", shelf.load("base"))
    assert (told.model, told.embedded, told.why, told.image_size) == ("tiny base", True, "embedded", 16)
    assert told.memory == 4 * told.parameters > 0 and told.disk > told.memory and len(told.fingerprint) == 16
    assert shelf.load("clip") is None and shelf.told("clip", None).why == "none"


def test_a_choice_is_remembered_and_taken_back(shelf, tmp_path):
    other = write_base(tmp_path / "other", seed=1)
    chosen = shelf.use("base", str(other))
    again = Shelf(shelf.home, shelf.checkpoints, shelf.device)
    assert again.load("base").fingerprint == chosen.fingerprint and again.why("base") == "chosen on the Models tab"
    again.use("base", "embedded")
    assert json.loads((shelf.home / "models.json").read_text()) == {}


def test_a_choice_that_is_gone_gives_way_and_says_so(shelf, tmp_path):
    shelf.use("base", str(write_base(tmp_path / "other", seed=1)))
    shutil.rmtree(tmp_path / "other")
    assert shelf.load("base").name == "tiny base"
    assert shelf.told("base", shelf.load("base")).embedded and "cannot be loaded" in shelf.why("base")


def test_what_cannot_be_loaded_changes_nothing(shelf, tmp_path):
    shelf.load("base")
    (tmp_path / "noise.pt").write_bytes(b"no weights")
    for kind, reference in (("base", str(tmp_path / "noise.pt")), ("base", "nobody-knows"), ("judge", "embedded"), ("clip", "embedded")):
        with pytest.raises(ShiftlabError):
            shelf.use(kind, reference)
    assert shelf.why("base") == "embedded" and not (shelf.home / "models.json").exists()


def test_an_import_becomes_a_model_of_the_home(shelf, tmp_path):
    brought = inspect(write_base(tmp_path / "brought", seed=2))
    name = shelf.add(brought, "my faces!", "photo of a face")
    assert [(model.name, model.kind, model.card["domain"]) for model in installed(shelf.home)] == [(name, "base", "photo of a face")]
    assert name == "my-faces" and shelf.use("base", name).fingerprint
    with pytest.raises(ShiftlabError, match="already"):
        shelf.add(brought, "my faces!")
    with pytest.raises(ShiftlabError, match="no name"):
        shelf.add(brought, "…")


def test_an_identity_encoder_is_opened_by_what_lies_there(shelf, tmp_path):
    encoder = shelf.use("identity", str(write_identity(tmp_path / "identity")))
    assert shelf.told("identity", encoder).model == "tiny identity"


def test_what_the_file_did_not_say_is_said_again_to_the_import(shelf, tmp_path):
    torch.save(random_ddpm(DDPMConfig(32, (1, 2), 1, (8,), 16)), tmp_path / "mine.ckpt")
    name = shelf.add(inspect(tmp_path / "mine.ckpt", image_size=16), "mine")
    assert shelf.use("base", name).image_size == 16


def test_measured_bounds_come_back_with_the_encoder(shelf, tmp_path):
    write_identity(shelf.checkpoints / "identity")
    encoder = shelf.load("identity")
    shelf.keep_bounds(encoder, bounds_of(torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]]), ["ann", "ann", "bea"]))
    assert encoder.ceiling == pytest.approx(0.6)
    again = Shelf(shelf.home, shelf.checkpoints, shelf.device)
    assert "Measured here on 3 pictures" in again.told("identity", again.load("identity")).note


def test_the_precision_is_the_lab_s(shelf):
    half = Shelf(shelf.home, shelf.checkpoints, shelf.device, torch.bfloat16)
    assert half.told("base", half.load("base")).precision == "bfloat16"


def test_the_folder_in_the_hub_s_place_is_used(shelf, tmp_path):
    write_base(tmp_path / "mirror" / "google" / "ddpm-ema-cat-256", seed=3)
    mirrored = Shelf(shelf.home, shelf.checkpoints, shelf.device, mirror=tmp_path / "mirror")
    chosen = mirrored.use("base", "ddpm-ema-cat-256")
    assert mirrored.told("base", chosen).where == tmp_path / "mirror" / "google" / "ddpm-ema-cat-256"


def test_a_tuned_base_keeps_the_kind_of_its_schedule(shelf):
    card = shelf.checkpoints / "base" / "card.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "schedule": {"beta_schedule": "scaled_linear"}}))
    base = shelf.load("base")
    name = shelf.keep_tuned(Edit(EditCard(name="oil", method="sdft", base_fingerprint=base.fingerprint), base.state_dict()), base)
    assert shelf.use("base", name).schedule.signature() == base.schedule.signature()


def test_a_tuned_base_is_kept_and_predicts_as_the_edit_does(shelf):
    base = shelf.load("base")
    weights = {name: value + 0.01 for name, value in base.state_dict().items()}
    edit = Edit(EditCard(name="oil paintings", method="sdft", base_fingerprint=base.fingerprint), weights)
    name = shelf.keep_tuned(edit, base, domain="painting")
    assert name == "oil-paintings" and [model.card["source"]["base"] for model in installed(shelf.home)] == [base.fingerprint]
    tuned, x, t = shelf.use("base", name), torch.randn(2, 3, 16, 16), torch.tensor([3, 900])
    assert (tuned.domain, tuned.prediction, tuned.schedule.signature()) == ("painting", base.prediction, base.schedule.signature())
    assert torch.equal(tuned.eps(x, t), base.tuned(weights).eps(x, t)) and tuned.fingerprint != base.fingerprint
    assert shelf.keep_tuned(edit, base) == name, "the same edit is the same base"
    other = Edit(edit.card.model_copy(update={"seed": 1}), weights)
    with pytest.raises(ShiftlabError, match="already"):
        shelf.keep_tuned(other, base)
    with pytest.raises(ShiftlabError, match="belongs to the base"):
        shelf.keep_tuned(edit, tuned, "other")
    own = Edit(edit.card.model_copy(update={"weights": "own"}), {})
    with pytest.raises(ShiftlabError, match="network of its own"):
        shelf.keep_tuned(own, base, "classifier")
