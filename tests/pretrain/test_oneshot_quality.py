"""The proof on streets, in a size that takes seconds: every part of it, and that it goes on where it stopped."""

from __future__ import annotations

import argparse
import json

import pandas as pd
import pytest

from core.pretrain.oneshot_quality import prove
from core.pretrain.oneshot_tables import by_image, summary, verdict
from core.types import ShiftlabError
from tests.adaptation.segment_helpers import QUICK, write_backbone
from tests.tiny_text_to_image import write_text_to_image


def options_of(tmp_path, **more) -> argparse.Namespace:
    segment = {**QUICK, "iterations": 2, "adapt_iterations": 2, "model": str(write_backbone(tmp_path / "mit"))}
    del segment["seeds"]
    return argparse.Namespace(**{**dict(
        targets=["fog"], shots=1, train=4, test=3, seeds=1, images=6, personalise_steps=2, used=1, tune=json.dumps({"sample_steps": 2}),
        generate=json.dumps({"steps": 2}), carry=json.dumps({"scenes": 3, "steps": 2}), segment=json.dumps(segment), generated=None,
        oracle=True, threads=None, arms=["one_shot", "generated", "carried"],
        checkpoints=tmp_path / "checkpoints", work=tmp_path / "work", out=tmp_path / "streets.md",
    ), **more})  # fmt: skip


@pytest.mark.long
def test_the_proof_from_one_image_to_its_table(tmp_path):
    write_text_to_image(tmp_path / "checkpoints" / "streets")
    options = options_of(tmp_path)
    prove(options)
    text = options.out.read_text(encoding="utf-8")
    assert "## fog" in text and "oracle" in text and "the one image (copies and crops)" in text and "goal +7.1" in text
    assert len(list((options.work / "fog-0-generate" / "generated").glob("*.png"))) == 6
    folders = [options.work / f"fog-{place}-segment" for place in range(1)]
    assert list(by_image(folders, options.work / "fog-oracle").index) == [
        "source", "one_shot", "generated", "carried", "target",
    ]  # fmt: skip
    assert "Carried scenes: " in text and len(list((folders[0] / "carried" / "images" / "train").glob("*.png"))) == 3
    made = {path: path.stat().st_mtime_ns for path in options.work.rglob("*.safetensors")}
    prove(options)
    assert {path: path.stat().st_mtime_ns for path in options.work.rglob("*.safetensors")} == made


@pytest.mark.long
def test_some_arms_alone(tmp_path):
    write_text_to_image(tmp_path / "checkpoints" / "streets")
    options = options_of(tmp_path, oracle=False, arms=["carried"])
    prove(options)
    text = options.out.read_text(encoding="utf-8")
    assert "carried scenes" in text and "DATUM:" not in text and "control" not in text
    assert not (options.work / "fog-0-generate").exists()


@pytest.mark.long
def test_without_a_model_it_takes_what_is_given(tmp_path):
    with pytest.raises(ShiftlabError, match="no text-to-image model"):
        prove(options_of(tmp_path, oracle=False))
    with pytest.raises(ShiftlabError, match=r"no labelled set at .*given/fog-0"):
        prove(options_of(tmp_path, oracle=False, generated=tmp_path / "given"))


def test_goals_are_said():
    values = pd.DataFrame(
        {0: {"source": 20.0, "one_shot": 25.0, "generated": 30.0}, 1: {"source": 20.0, "one_shot": 27.0, "generated": 32.0}}
    )
    assert "+11.0 points over source only" in verdict(values) and verdict(values).endswith("reached.")
    assert verdict(values.replace({30.0: 26.0, 32.0: 24.0})).endswith("missed.")
    carried = pd.concat([values, pd.DataFrame({0: [33.0], 1: [33.0]}, index=["carried"])])
    assert verdict(carried) == f"{verdict(values)} " + (
        "Carried scenes: +13.0 points over source only (goal +7.1), +7.0 over the one-image control (goal above 0): reached."
    )
    assert summary(values).set_index("segmenter").loc["DATUM", ["mIoU", "gain", "least"]].tolist() == [31.0, 11.0, 30.0]
