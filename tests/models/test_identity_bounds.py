"""Floor and ceiling on people whose names are known."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from core.models import identity_bounds
from core.models.identity import Identity
from core.models.identity_bounds import bounds_of, keep_bounds, measure_bounds, with_kept_bounds
from core.types import ShiftlabError
from tests.tiny import drained

RED, GREEN = (255, 0, 0), (0, 255, 0)


@pytest.fixture
def colours() -> Identity:
    """Knows people by their mean colour."""
    network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    return Identity(network, name="colours", image_size=8)


def test_pairs_are_told_apart():
    embeddings = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    bounds = bounds_of(embeddings, ["ann", "ann", "bea"])
    assert (bounds.ceiling, bounds.floor) == pytest.approx((0.6, 0.4))
    assert (bounds.lowest_same, bounds.highest_other, bounds.people) == (pytest.approx(0.6), pytest.approx(0.8), 2)


def test_a_folder_of_people(tmp_path, colours):
    for person, colour in (("ann", RED), ("bea", GREEN)):
        (tmp_path / person).mkdir()
        for number in range(2):
            Image.new("RGB", (16, 16), colour).save(tmp_path / person / f"{number}.png")
    (tmp_path / "ann" / "notes.txt").write_text("no picture")
    events, bounds = drained(measure_bounds(colours, tmp_path, align=False))
    assert [(event.step, event.total) for event in events] == [(i, 5) for i in range(1, 6)]
    assert bounds.ceiling == pytest.approx(1.0) and bounds.floor == pytest.approx(-1 / 3, abs=0.01)
    assert (bounds.pictures, bounds.skipped) == (4, 1)


def test_without_faces_or_people_there_is_a_sentence(tmp_path, colours, monkeypatch):
    monkeypatch.setattr(identity_bounds, "frames", lambda image: [])
    (tmp_path / "ann").mkdir()
    Image.new("RGB", (16, 16)).save(tmp_path / "ann" / "0.png")
    with pytest.raises(ShiftlabError, match="No face was found"):
        drained(measure_bounds(colours, tmp_path))
    with pytest.raises(ShiftlabError, match="at least two people"):
        bounds_of(torch.eye(2), ["ann", "ann"])


def test_what_was_measured_stays_with_the_encoder(tmp_path, colours):
    home = tmp_path / "home"
    assert with_kept_bounds(colours, home).ceiling is None
    keep_bounds(home, colours, bounds_of(torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]]), ["ann", "ann", "bea"], skipped=2))
    again = with_kept_bounds(colours, home)
    assert (again.ceiling, again.floor) == pytest.approx((0.6, 0.4))
    assert "0.60 for the same person (at least 0.60), 0.40 for two (at most 0.80). 2 left out" in again.card["bounds"]
    (home / "bounds.json").write_text("torn")
    assert with_kept_bounds(Identity(colours.model, name="anew", image_size=8), home).ceiling is None
