"""The proof on portraits, in a size that takes seconds: every part of it, and that it goes on where it stopped."""

from __future__ import annotations

import argparse

import pytest

from core.data.edits import save_edit
from core.models.base import load_base
from core.pretrain.adaptation_quality import prove
from core.types import Edit, EditCard
from tests.tiny import write_models

pytestmark = pytest.mark.long


def test_the_proof_from_portraits_to_its_table(tmp_path):
    base = load_base(write_models(tmp_path / "checkpoints") / "base")
    card = EditCard(
        name="Pencil sketch", method="diffusionclip", base_fingerprint=base.fingerprint, reference_prompt="a photo of a person",
        target_prompt="a pencil sketch of a person", settings={"return_step": 201, "image_weight": 0.5},
    )  # fmt: skip
    save_edit(tmp_path / "checkpoints" / "edits" / "sketch.safetensors", Edit(card, base.state_dict()), base.state_dict())
    options = argparse.Namespace(
        labels=["smiling"], edit="sketch", train=12, test=6, seeds=2, model="cnn", epochs=1, batch=9, threads=None,
        checkpoints=tmp_path / "checkpoints", work=tmp_path / "work", out=tmp_path / "adaptation.md",
    )  # fmt: skip
    prove(options)
    text = options.out.read_text(encoding="utf-8")
    assert "## smiling" in text and "target (oracle)" in text and "50 % of its direction" in text and "27.7 points" in text
    assert (options.work / "report-smiling" / "report.html").is_file()
    # Adapted and drawn pictures are left as they are; a report, with its charts, is written again.
    made = {path: path.stat().st_mtime_ns for path in options.work.rglob("*.png") if path.parent.name != "report-smiling"}
    prove(options)
    assert {path: path.stat().st_mtime_ns for path in made} == made and options.out.read_text(encoding="utf-8") == text
