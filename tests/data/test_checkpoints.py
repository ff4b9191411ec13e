"""Checkpoints: what goes in comes out, the newest counts, and neither a broken file nor a full disk costs an older one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from core.data import checkpoints
from core.data.checkpoints import FolderCheckpoints


def trained(steps: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    go_on(model, optimizer, steps)
    return model, optimizer


def go_on(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(2, 3)).square().mean().backward()
        optimizer.step()


def state_of(model: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> dict[str, Any]:
    return {"step": step, "weights": model.state_dict(), "optimizer": optimizer.state_dict(), "rng": torch.get_rng_state()}


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_ten_steps_equal_five_and_five_after_a_load(tmp_path: Path) -> None:
    whole, _ = trained(10)
    model, optimizer = trained(5)
    FolderCheckpoints(tmp_path).save(5, state_of(model, optimizer, 5))
    torch.manual_seed(99)

    state = FolderCheckpoints(tmp_path).load()
    fresh, optimizer = trained(0)
    assert state is not None and state["step"] == 5
    fresh.load_state_dict(state["weights"])
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["rng"])
    go_on(fresh, optimizer, 5)
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), fresh.state_dict().values(), strict=True))


def test_every_kind_of_value_comes_back_as_it_was(tmp_path: Path) -> None:
    tied = torch.randn(3, 4)
    state = {
        "tied": {"a": tied, "b": tied, "turned": tied.T},
        "bare": torch.arange(3),
        "numbers": {1: 2.0},
        "pair": (1, 2),
        "facts": {"name": "é", "list": [1, None]},
        "nothing": {},
    }
    FolderCheckpoints(tmp_path).save(1, state)
    found = FolderCheckpoints(tmp_path).load()
    assert found is not None and found.keys() == state.keys()
    assert all(torch.equal(found["tied"][name], value) for name, value in state["tied"].items())
    assert torch.equal(found["bare"], state["bare"])
    assert [found[name] for name in ("numbers", "pair", "facts", "nothing")] == [{1: 2.0}, (1, 2), state["facts"], {}]


def test_an_empty_folder_holds_none(tmp_path: Path) -> None:
    assert FolderCheckpoints(tmp_path / "none").load() is None


def test_two_are_kept_and_nothing_else(tmp_path: Path) -> None:
    told: list[int] = []
    keeper = FolderCheckpoints(tmp_path, told.append)
    for step in (1, 2, 3, 3):
        keeper.save(step, {"step": step, "weights": {"w": torch.tensor([float(step)])}})
    assert [name for name in files(tmp_path) if name.endswith(".json")] == ["step_000002.json", "step_000003.json"]
    assert len(files(tmp_path)) == 6
    assert told == [1, 2, 3, 3]


@pytest.mark.parametrize("kind", ["*.safetensors", "*.pt", "*.json"])
def test_a_broken_newest_one_gives_way_to_the_one_before(tmp_path: Path, kind: str) -> None:
    keeper = FolderCheckpoints(tmp_path)
    for step in (1, 2):
        keeper.save(step, {"step": step, "weights": {"w": torch.ones(2)}, "rng": torch.zeros(3)})
    broken = sorted(tmp_path.glob(f"step_000002{kind}"))[0]
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    state = keeper.load()
    assert state is not None and state["step"] == 1


def test_a_full_disk_leaves_the_older_one_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = FolderCheckpoints(tmp_path)
    keeper.save(1, {"step": 1, "weights": {"w": torch.ones(2)}})

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints.torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        keeper.save(2, {"step": 2, "weights": {"w": torch.zeros(2)}})
    state = keeper.load()
    assert state is not None and state["step"] == 1
    assert not [name for name in files(tmp_path) if name.startswith(".")]


def test_pickled_code_is_not_run(tmp_path: Path) -> None:
    keeper = FolderCheckpoints(tmp_path)
    keeper.save(1, {"step": 1, "rng": torch.zeros(3)})
    rest = next(tmp_path.glob("*.pt"))
    torch.save({"path": Path("/")}, rest)  # an object that weights_only=True does not know
    assert keeper.load() is None
