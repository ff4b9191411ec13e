"""The pretraining loop: budget, learning rate, average, state on disk, resumption to the bit, cards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from core.pretrain import common
from core.types import ShiftlabError


class Training:
    """The smallest training that has everything: a network, its average, an optimizer with memory, and random data."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.live, averaged = nn.Linear(3, 2), nn.Linear(3, 2)
        self.ema = common.Ema(self.live, averaged, decay=0.9)
        self.optimizer = torch.optim.AdamW(self.live.parameters(), lr=0.1)

    def step(self, step, progress):
        common.set_learning_rate(self.optimizer, common.learning_rate(progress, step, 0.1, warmup=2))
        loss = self.live(torch.randn(4, 3)).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.ema.update(step)
        return {"loss": loss.detach()}

    def run(self, folder, until, budget=6):
        """Trains to the end of `budget` steps; raises KeyboardInterrupt before step `until`, after having saved every step."""

        def step(number, progress):
            if number == until:
                raise KeyboardInterrupt
            return self.step(number, progress)

        state = common.StateFolder(folder / "state", {"live": self.live, "averaged": self.ema.module}, {"optimizer": self.optimizer})
        log = common.Log(folder / "log.jsonl", every=2)
        return common.run(step, state, common.Budget(1.0, budget), log, seed=3, save_minutes=0.0)


def test_a_killed_training_resumes_to_the_bit(tmp_path):
    whole, killed, resumed = Training(), Training(), Training()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    assert whole.run(tmp_path / "a", until=-1)[0] == 6
    with pytest.raises(KeyboardInterrupt):
        killed.run(tmp_path / "b", until=3)
    assert resumed.run(tmp_path / "b", until=-1)[0] == 6
    for name, value in whole.ema.module.state_dict().items():
        assert torch.equal(value, resumed.ema.module.state_dict()[name])
    assert torch.equal(whole.live.weight, resumed.live.weight)


def test_only_complete_states_count_and_the_newest_is_kept(tmp_path):
    training = Training()
    state = common.StateFolder(tmp_path, {"live": training.live}, {"optimizer": training.optimizer})
    assert state.load() == (0, 0.0)
    state.save(4, 1.5)
    state.save(9, 2.5)
    (tmp_path / "step-00000011").mkdir()  # what a kill in the middle could leave if the rename were not atomic
    (tmp_path / "step-00000012.part").mkdir()
    assert state.load() == (9, 2.5)
    assert not (tmp_path / "step-00000004").exists()


def test_budget_by_steps_and_by_minutes():
    assert common.Budget(10.0).progress(5, 300.0) == 0.5
    assert common.Budget(10.0, steps=20).progress(5, 300.0) == 0.25
    assert common.Budget(10.0).progress(5, 3000.0) == 1.0


def test_learning_rate_warms_up_and_anneals():
    assert common.learning_rate(0.0, 0, 1.0, warmup=10) == pytest.approx(0.1)
    assert common.learning_rate(0.0, 50, 1.0, warmup=10) == pytest.approx(1.0)
    assert common.learning_rate(1.0, 50, 1.0, warmup=10, floor=0.02) == pytest.approx(0.02)


def test_the_average_follows_the_network_and_copies_counters():
    live, averaged = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    ema = common.Ema(live, averaged, decay=0.5)
    with torch.no_grad():
        live.weight.fill_(3.0)
        live.num_batches_tracked.fill_(7)
    ema.update(1000)
    assert torch.equal(averaged.weight, torch.full((2,), 2.0))
    assert averaged.num_batches_tracked == 7


def test_low_discrepancy_puts_one_number_in_every_stratum():
    numbers = common.low_discrepancy(8, 0.37).sort().values
    assert ((numbers * 8).long() == torch.arange(8)).all()
    assert (numbers >= 0).all() and (numbers < 1).all()


def test_log_writes_means_of_the_interval(tmp_path):
    log = common.Log(tmp_path / "log.jsonl", every=2)
    log.add(1, 0.1, {"loss": 1.0})
    log.add(2, 0.2, {"loss": torch.tensor(3.0)})
    assert json.loads((tmp_path / "log.jsonl").read_text()) == {"step": 2, "seconds": 0.2, "loss": 2.0}


def test_cards_are_read_back_and_a_missing_one_is_a_sentence(tmp_path):
    common.write_card(tmp_path / "model", "A model", "To be tested.", {"steps": 5, "measured": {"accuracy": 0.5}})
    assert common.read_card(tmp_path / "model")["measured"] == {"accuracy": 0.5}
    assert "| accuracy | 0.5 |" in (tmp_path / "model" / "README.md").read_text()
    with pytest.raises(ShiftlabError, match=r"no card\.json"):
        common.read_card(tmp_path)


@pytest.mark.parametrize(
    ("best", "inside"), [(torch.bfloat16, torch.bfloat16), (torch.float16, torch.float32), (torch.float32, torch.float32)]
)
def test_reduced_precision_only_where_the_device_computes_in_it(monkeypatch, best, inside):
    monkeypatch.setattr(common, "best_dtype", lambda device: best)
    with common.autocast(torch.device("cpu")):
        assert nn.Linear(3, 2)(torch.randn(4, 3)).dtype is inside


def test_wrong_input_ends_a_command_with_its_sentence():
    def main():
        raise ShiftlabError("The folder is empty. Name another.")

    with pytest.raises(SystemExit, match="The folder is empty"):
        common.run_command(main)


@pytest.mark.parametrize("path", sorted(Path(common.__file__).parent.glob("*.py")), ids=lambda path: path.stem)
def test_every_recipe_s_command_ends_so(path):
    text = path.read_text(encoding="utf-8")
    assert "__main__" not in text or "run_command(main)" in text.split("__main__")[1]
