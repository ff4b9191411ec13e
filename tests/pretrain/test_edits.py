"""The recipe of the shipped edits on tiny random models: what a file says of itself, and what a second training does to it."""

from dataclasses import replace

import pytest
import torch

from core.data.edits import load_edit
from core.models.base import load_base
from core.pretrain import edits
from tests.tiny import write_models

SMALL = ["--set", "images=4", "--set", "epochs=1", "--set", "training_steps=2", "--set", "sample_steps=2", "--how", "full"]


@pytest.mark.long
def test_a_recipe_of_two_trainings_keeps_their_mean(tmp_path, monkeypatch):
    checkpoints = write_models(tmp_path / "checkpoints")
    base = load_base(checkpoints / "base", device="cpu").state_dict()
    monkeypatch.setattr(edits, "IMAGES", 4)
    monkeypatch.setattr(edits, "TARGETS", 4)
    strokes = {"w_strokes": 3.0}
    recipe = replace(edits.RECIPES["sketch"], second={})
    first, other = recipe, replace(recipe, settings={**recipe.settings, **strokes})

    def made(tag, what):
        monkeypatch.setitem(edits.ALL, "sketch", what)
        where = ["--checkpoints", str(checkpoints), "--out", str(tmp_path / "edits"), "--cache", str(tmp_path / "cache"), "--tag", tag]
        monkeypatch.setattr("sys.argv", ["edits", "sketch", *SMALL, *where])
        edits.main()
        assert (tmp_path / "cache" / "edits" / f"{tag}sketch.png").is_file()
        return load_edit(tmp_path / "edits" / f"{tag}sketch.safetensors", base)

    a, b, both = made("a-", first), made("b-", other), made("both-", replace(first, second=strokes))
    assert a.card.note.startswith("python -m core.pretrain.edits sketch; 0.") and "mean" not in a.card.note
    assert both.card.note.startswith("python -m core.pretrain.edits sketch; the mean of 0.")
    assert set(both.card.metrics) == set(a.card.metrics) != set(), "measured anew"
    assert any(not torch.equal(a.weights[name], b.weights[name]) for name in base)
    assert all(torch.allclose(both.weights[name], (a.weights[name] + b.weights[name]) / 2, atol=1e-6) for name in base)
