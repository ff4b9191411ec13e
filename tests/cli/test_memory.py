"""What is run to measure memory runs; on a GPU the goals hold."""

from __future__ import annotations

import pytest
import torch

from core.cli.memory import edit_once, fine_tune_once, measured_table, peak_bytes_on, random_context
from core.models.base import load_base
from core.models.clip import load_clip
from core.types import Context
from tests.tiny import write_models

GB = 10**9


@pytest.mark.long
def test_one_training_and_one_edit_are_run(tmp_path, monkeypatch):
    checkpoints = write_models(tmp_path)
    context = Context(base=load_base(checkpoints / "base", dtype=torch.float32), clip=load_clip(checkpoints / "clip"))
    updates, parked = [], []
    adam = torch.optim.Adam.step
    monkeypatch.setattr(torch.optim.Adam, "step", lambda *given: updates.append(1) or adam(*given))
    monkeypatch.setattr(type(context.base), "park", lambda base: parked.append(base))
    fine_tune_once(context)
    assert len(updates) == 2 and parked == [context.base]  # the second update has Adam's moments and gradients at once
    edit_once(context)


@pytest.mark.gpu
def test_the_goals_hold_as_measured(capsys):
    """Under 8 GB for fine-tuning in the saving mode and under 3 GB for edits, of the 256 px DDPM with CLIP ViT-B/16."""
    device = torch.device("cuda")
    context = random_context(device)
    training = peak_bytes_on(device, lambda: fine_tune_once(context))
    editing = peak_bytes_on(device, lambda: edit_once(context))
    with capsys.disabled():
        print(f"\nfine-tuning {training / GB:.2f} GB, editing {editing / GB:.2f} GB on {torch.cuda.get_device_name(device)}")
    assert training < 8 * GB and editing < 3 * GB
    assert "Measured" in measured_table(device)
