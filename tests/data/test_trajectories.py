"""The store of trajectories: what comes back, what is a miss, what is dropped, what a key depends on."""

import os

import pytest
import torch

from core.data.trajectories import TrajectoryStore, trajectory_key
from core.types import Trajectory

GRID = (0, 1, 21)
BYTES = 3 * 3 * 4 * 4 * 4  # three latents of 3×4×4 in float32


def trajectory(value=0.0):
    return Trajectory(GRID, torch.full((3, 1, 3, 4, 4), float(value)))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_trajectory_survives_the_process_that_made_it(tmp_path):
    made = Trajectory(GRID, torch.randn(3, 1, 3, 4, 4))
    TrajectoryStore(tmp_path).put("a", made)
    back = TrajectoryStore(tmp_path).get("a")
    assert back.timesteps == GRID and torch.equal(back.latents, made.latents)
    assert torch.equal(back.at(21), made.latents[2])
    assert names(tmp_path) == ["a.safetensors"]


def test_memory_answers_without_the_disk_and_what_is_kept_is_a_copy(tmp_path):
    store, made = TrajectoryStore(tmp_path), trajectory(1)
    store.put("a", made)
    (tmp_path / "a.safetensors").unlink()
    made.latents.zero_()
    assert store.get("a").latents.unique().tolist() == [1.0]


def test_memory_drops_what_was_used_longest_ago(tmp_path):
    store = TrajectoryStore(tmp_path, memory_bytes=2 * BYTES)
    store.put("a", trajectory(1))
    store.put("b", trajectory(2))
    store.get("a")
    store.put("c", trajectory(3))
    for path in tmp_path.iterdir():
        path.unlink()
    assert store.get("a") is not None and store.get("b") is None and store.get("c") is not None


def test_an_entry_larger_than_memory_still_lies_on_disk(tmp_path):
    store = TrajectoryStore(tmp_path, memory_bytes=BYTES - 1)
    store.put("a", trajectory(1))
    assert store.get("a").latents.unique().tolist() == [1.0]


def test_the_disk_drops_what_was_used_longest_ago(tmp_path):
    store = TrajectoryStore(tmp_path, memory_bytes=0)
    store.put("a", trajectory(1))
    size = (tmp_path / "a.safetensors").stat().st_size
    store.put("b", trajectory(2))
    for place, key in enumerate("ab"):
        os.utime(tmp_path / f"{key}.safetensors", ns=(place, place))
    store.get("a")
    store.disk_bytes = 2 * size
    store.put("c", trajectory(3))
    assert names(tmp_path) == ["a.safetensors", "c.safetensors"]


@pytest.mark.parametrize("damage", [lambda data: data[:-7], lambda data: b"", lambda data: b"\xff" * len(data), lambda data: b"{}"])
def test_a_broken_file_is_a_miss_and_goes(tmp_path, damage):
    store = TrajectoryStore(tmp_path, memory_bytes=0)
    store.put("a", trajectory())
    path = tmp_path / "a.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    assert store.get("a") is None and not path.exists()
    store.put("a", trajectory(4))
    assert store.get("a").latents.unique().tolist() == [4.0]


def test_a_disk_that_takes_nothing_leaves_the_memory(tmp_path):
    store = TrajectoryStore(tmp_path / "kept")
    (tmp_path / "kept").rmdir()
    store.put("a", trajectory(5))
    assert store.get("a").latents.unique().tolist() == [5.0]


def test_an_entry_holds_one_image(tmp_path):
    with pytest.raises(ValueError, match="one image"):
        TrajectoryStore(tmp_path).put("a", Trajectory(GRID, torch.zeros(3, 2, 3, 4, 4)))


def test_the_key_depends_on_everything_and_on_nothing_else():
    facts = ("weights", "image", "schedule", [0, 1, 21])
    keys = {trajectory_key(*facts[:i], changed, *facts[i + 1 :]) for i, changed in enumerate(["w2", "i2", "s2", [0, 12, 1]])}
    assert len(keys | {trajectory_key(*facts)}) == 5
    assert trajectory_key(*facts[:3], (0, 1, 21)) == trajectory_key(*facts)
