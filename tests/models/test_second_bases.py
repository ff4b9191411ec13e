"""A second base: which of those that are here could stand in the loaded one's place, and the same base as an edit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from core.models.base import load_base
from core.models.edit_shelf import EditShelf
from core.models.second_bases import second_bases
from tests.tiny import tiny_unet, write_base


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """One that fits, one with other outputs, one that predicts velocity, one that is nothing."""
    write_base(tmp_path / "fits", seed=1)
    tiny_unet(out_channels=6).save_pretrained(tmp_path / "learned-sigma")
    card = json.loads((write_base(tmp_path / "velocity") / "card.json").read_text())
    (tmp_path / "velocity" / "card.json").write_text(json.dumps({**card, "prediction": "v_prediction"}))
    (tmp_path / "nothing").mkdir()
    return [tmp_path / name for name in ("fits", "learned-sigma", "velocity", "nothing")]


def test_only_what_fits_the_network_and_means_the_same_is_offered(tmp_path: Path, folders: list[Path]) -> None:
    loaded = load_base(write_base(tmp_path / "loaded"), device="cpu")
    assert [folder.name for folder, _ in second_bases(loaded, folders)] == ["fits"]


def test_it_is_chosen_like_an_edit_and_walks_as_the_base_itself(tmp_path: Path, folders: list[Path]) -> None:
    loaded = load_base(write_base(tmp_path / "loaded"), device="cpu", dtype=torch.float32)
    shelf = EditShelf(tmp_path / "a", tmp_path / "b", tmp_path / "c", lambda: folders)
    (entry,) = shelf.entries(loaded)
    assert (entry.key, entry.usable, entry.card.weights) == ("base/fits", True, "full")
    other, x, t = load_base(folders[0], device="cpu", dtype=torch.float32), torch.randn(1, 3, 16, 16), torch.tensor([500])
    assert torch.equal(loaded.tuned(shelf.load(entry.key, loaded).weights).eps(x, t), other.eps(x, t))
