"""Which models a lab works with, what it remembers of that, and what happens when a choice is gone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from core.models.shelf import Shelf
from core.models.zoo import installed
from core.types import ShiftlabError
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
    name = shelf.add(write_base(tmp_path / "brought", seed=2), "my faces!", "photo of a face")
    assert [(model.name, model.kind, model.card["domain"]) for model in installed(shelf.home)] == [(name, "base", "photo of a face")]
    assert name == "my-faces" and shelf.use("base", name).fingerprint
    with pytest.raises(ShiftlabError, match="already"):
        shelf.add(tmp_path / "brought", "my faces!")
    with pytest.raises(ShiftlabError, match="no name"):
        shelf.add(tmp_path / "brought", "…")


def test_an_identity_encoder_is_opened_by_what_lies_there(shelf, tmp_path):
    encoder = shelf.use("identity", str(write_identity(tmp_path / "identity")))
    assert shelf.told("identity", encoder).model == "tiny identity"
