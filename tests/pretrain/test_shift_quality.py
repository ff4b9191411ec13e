"""Rebalancing to estimated shares, in a size that takes seconds, and the mixtures that it is tried on."""

from __future__ import annotations

import argparse

import numpy as np
import pytest

from core.data.edits import save_edit
from core.models.base import load_base
from core.pretrain.edits import context_of
from core.pretrain.shift_quality import AS_IT_IS, accuracies, prove, verdict
from core.pretrain.shift_sets import SHIFTS, crowd, mixed, pools
from core.types import Edit, EditCard
from core.worlds import portraits as world
from tests.adaptation.helpers import random_edit
from tests.tiny import write_models


def options_in(folder, **more):
    return argparse.Namespace(**{**dict(
        label="smiling", attribute="glasses", edit="sketch", shifts=["mixture"], carried=["edit", "renderer"],
        count=32, drawn=32, unlabelled=20, test=12, levels=2, highest=100,
        seeds=2, epochs=1, size=16, batch=40, threads=None, checkpoints=folder / "checkpoints", work=folder / "work",
        out=folder / "shift.md",
    ), **more})  # fmt: skip


@pytest.fixture
def options(tmp_path):
    base = load_base(write_models(tmp_path / "checkpoints") / "base")
    settings = {"return_step": 101}
    card = EditCard(name="Pencil sketch", method="diffusionclip", base_fingerprint=base.fingerprint, settings=settings)
    save_edit(tmp_path / "checkpoints" / "edits" / "sketch.safetensors", Edit(card, random_edit(base).weights), base.state_dict())
    return options_in(tmp_path)


@pytest.mark.long
def test_a_crowd_and_the_sources_mixed_from_it(options):
    people = crowd(200, 1, "smiling", "glasses", 0.8)
    assert people.smiling.float().mean() == 0.5
    assert all(people.glasses[people.smiling == value].float().mean() == pytest.approx(0.8) for value in (True, False))
    assert (people.hat == world.sample(200, 1).hat).all()
    drawn = argparse.Namespace(**{**vars(options), "drawn": 80, "carried": ["renderer"]})
    pool = pools(drawn, context_of(options.checkpoints, options.work))["renderer"]
    for name, (without, with_label) in {"mixture": (0.3, 0.3), "confounded": (0.1, 0.9)}.items():
        part = pool.part(mixed(pool.photos, "smiling", "glasses", SHIFTS[name]))
        assert [item.labels for item in part.photos.items] == [item.labels for item in part.carried.items]
        for split in ("train", "validation"):
            labels = [item.labels[:2] for item in part.photos.split(split)]
            for smiling, share in (("no", without), ("yes", with_label)):
                glasses = [value for label, value in labels if label == smiling]
                assert glasses.count("yes") / len(glasses) == pytest.approx(share, abs=0.1)


@pytest.mark.long
def test_the_proof_to_its_table_goes_on_where_it_was_stopped(options):
    prove(options)
    text = options.out.read_text(encoding="utf-8")
    assert "## mixture, carried by the edit" in text and "## mixture, carried by the renderer" in text and "resampled to the truth" in text
    made = {path: path.stat().st_mtime_ns for folder in ("*.npy", "*.png", "right-*/*.json") for path in options.work.rglob(folder)}
    assert len([path for path in made if path.suffix == ".json"]) == 2 * 5 * 2
    prove(options)
    assert {path: path.stat().st_mtime_ns for path in made} == made and options.out.read_text(encoding="utf-8") == text


@pytest.mark.long
def test_the_verdict_goes_by_the_interval():
    rng = np.random.default_rng(0)
    plain = rng.random((3, 400)) < 0.6
    table = accuracies({AS_IT_IS: plain, "better": plain | (rng.random((3, 400)) < 0.5), "same": plain.copy(), "worse": plain & False})
    assert "*better* helps (+" in verdict(table) and "*same* makes no difference" in verdict(table) and "*worse* harms (-" in verdict(table)
    assert "by chance" not in verdict(table)
    assert "by chance alone" in verdict(accuracies({AS_IT_IS: rng.random((3, 400)) < 0.5}))
    assert list(table["p"].isna()) == [True, False, False, False]
