"""The benchmark on networks that take no time: what it counts, and that its table is whole."""

from __future__ import annotations

import pytest
import torch

from benchmarks import edit_speed
from benchmarks.edit_speed_table import Row, table
from tests.tiny import write_base


@pytest.mark.long
def test_a_whole_run_writes_its_table(tmp_path, monkeypatch):
    monkeypatch.setattr(edit_speed, "GENERATION_STEPS", (6,))
    out = tmp_path / "table.md"
    sizes = ["--images", "2", "--batch", "2", "--large-size", "32", "--large-width", "32", "--repeats", "1"]
    edit_speed.main(["--base", str(write_base(tmp_path / "base")), "--out", str(out), "--device", "cpu", *sizes], say=lambda text: None)
    lines = [line.split(" | ") for line in out.read_text().splitlines() if line.startswith(("| tiny", "| random"))]
    assert len(lines) == 10  # published, ours with two batch sizes, first and stored; on two models
    calls = {line[1]: int(line[3]) for line in lines}
    assert calls[edit_speed.PUBLISHED] == 39 + 6 + 6
    assert {number for way, number in calls.items() if "trajectory stored" in way} == {6}


def test_the_large_network_is_the_published_one():
    with torch.device("meta"):  # shapes without numbers
        unet = edit_speed.ddpm_unet()
    assert sum(weight.numel() for weight in unet.parameters()) == 113_673_219


def test_speed_is_told_against_the_published_way_of_the_same_model():
    rows = [Row("a", "published", 6, 51, 10.0, "measured", 30.0), Row("a", "ours", 6, 6, 2.0, "measured", None)]
    published, ours = table(rows).splitlines()[2:]
    assert "| 1.0 | 30.0 |" in published and "| 5.0 |  |" in ours


@pytest.mark.parametrize("count", [1, 3])
def test_calls_are_counted_by_image_and_in_copies(tmp_path, count):
    base = edit_speed.load_base(write_base(tmp_path / "base"), "cpu", torch.float32)
    x, t = torch.randn(count, 3, 16, 16), torch.zeros(count, dtype=torch.long)
    with edit_speed.counted(base.unet) as calls, edit_speed.timed(calls, base.device) as timing:
        base.eps(x, t)
        base.tuned(base.state_dict()).eps(x, t)
    assert timing.calls == 2 * count and timing.seconds > 0
