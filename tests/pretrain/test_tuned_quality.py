"""The tables of ten pictures, of tuned bases and of Asyrp's states, on tiny random models: what stands in them, and going on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.data.edits import load_edit, read_card
from core.methods.asyrp_block import DDPMDeltaBlock
from core.methods.asyrp_shift import MEAN
from core.pretrain import asyrp_quality, asyrp_states, tenshot_quality, tuned_quality
from core.types import Edit, EditCard
from tests.tiny import write_judge, write_models

pytestmark = pytest.mark.long

TUNING = ["--steps", "2", "--save-every", "1", "--threads", "1"]


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pictures where the scripts take many."""
    for module, name in ((asyrp_states, "IMAGES"), (asyrp_quality, "SHOWN"), (asyrp_quality, "AVERAGED"), (tuned_quality, "SHOWN")):
        monkeypatch.setattr(module, name, 2)
    monkeypatch.setattr(asyrp_quality, "STRIP", (-1.0, 1.0))


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = write_models(tmp_path_factory.mktemp("checkpoints"))
    write_judge(folder / "judge")
    return folder


def words(checkpoints: Path, folder: Path) -> list[str]:
    return ["--checkpoints", str(checkpoints), "--work", str(folder / "work"), "--out", str(folder / "table.md")]


def rows(path: Path) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in path.read_text().splitlines() if line.startswith("|")]


def test_ten_pictures(checkpoints: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--seeds", "0", "1", "--batch", "3", "--images", "3", "--count", "6", "--sample-steps", "2"]
    fast = [*TUNING, *small, *words(checkpoints, tmp_path)]
    tenshot_quality.main(fast)
    table = rows(tmp_path / "table.md")
    assert table[0] == ["variant", "intra-LPIPS", "nearest-LPIPS", "FID"]
    assert [row[0] for row in table[2:]] == ["true pictures", "source model", "naive", "DomainStudio"] and "±" in table[-1][1]
    capsys.readouterr()
    tenshot_quality.main(fast)
    assert "2/2" not in capsys.readouterr().out, "nothing is trained again"
    assert rows(tmp_path / "table.md") == table and not (tmp_path / "edits").exists()
    tenshot_quality.main([*fast, "--ship", str(tmp_path / "edits")])
    card = read_card(tmp_path / "edits/domainstudio_sketch.safetensors")
    assert (card.name, card.method, card.weights) == ("3-shot sketch", "domainstudio", "eight_bit") and "FID" in card.metrics


def test_five_prompts_on_tuned_bases(checkpoints: Path, tmp_path: Path) -> None:
    small = ["--prompts", "smiling", "--learn", "2", "--epochs", "1", "--steps-of-edits", "2", "--count", "2"]
    tuned_quality.main([*TUNING, *small, *words(checkpoints, tmp_path)])
    found = [row for row in rows(tmp_path / "table.md") if "smiling" in row]
    assert [row[:2] for row in found] == [[base, method] for base in ("naive", "SDFT") for method in ("DiffusionCLIP", "Asyrp")]
    assert (tmp_path / "work" / "SDFT-asyrp-smiling.png").is_file()
    assert tuned_quality.prompts_of("smiling", "painting")["target_prompt"] == "an oil painting of a smiling person"


def test_the_states_of_one_training(checkpoints: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--set", "images=2", "--set", "training_steps=3", "--steps", "2", "--count", "2", "--threads", "1", "--strengths", "1"]
    run = ["smiling", *small, *words(checkpoints, tmp_path), "--states"]
    asyrp_quality.main([*run, "1", "2"])
    assert sorted(path.stem for path in tmp_path.glob("work/smiling-*/states/*")) == ["1", "2"]
    capsys.readouterr()
    asyrp_quality.main([*run, "2", "3"])
    printed = capsys.readouterr().out
    assert " 3 {" in printed and " 2 {" not in printed, "it goes on from the second state"


def test_what_is_shipped_says_what_it_does(checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (asyrp_quality, asyrp_states):
        monkeypatch.setattr(module, "STOPS", {name: asyrp_states.Stop(1) for name in ("smiling", "glasses")})
    small = ["--set", "images=2", "--set", "training_steps=3", "--steps", "2", "--count", "2", "--threads", "1"]
    asyrp_quality.main([*small, *words(checkpoints, tmp_path), "--edits", str(tmp_path / "edits")])
    card = read_card(tmp_path / "edits" / "asyrp_smiling.safetensors")
    assert (card.name, card.method, card.weights) == ("Smiling", "asyrp", "own") and "1 updates" in card.note
    assert {"target_seen", "others_kept", "identity", "s_dir", "t_edit"} <= set(card.metrics)
    assert MEAN in load_edit(tmp_path / "edits" / "asyrp_smiling.safetensors", {}).weights
    assert (tmp_path / "asyrp_smiling.png").is_file()
    table = (tmp_path / "table.md").read_text()
    assert all(use.title in table for use in asyrp_quality.USES)


def test_a_louder_edit_scales_delta_h_and_nothing_else() -> None:
    block, again = DDPMDeltaBlock(32, 4), DDPMDeltaBlock(32, 4)
    card = EditCard(name="Smiling", method="asyrp", base_fingerprint="", weights="own")
    again.load_state_dict(asyrp_states.louder(Edit(card, block.state_dict()), 1.5).weights)
    h, emb = torch.randn(2, 32, 3, 3), torch.randn(2, 4)
    torch.testing.assert_close(again(h, emb), 1.5 * block(h, emb))
