"""The comparison of SDFT with its baselines, on tiny random models: the table, its intervals, and going on where it stopped."""

import pytest
import torch

from core.data.edits import read_card
from core.methods.sdft_settings import SDFTTune
from core.pretrain.sdft_quality import VARIANTS, main, parse, with_interval
from tests.tiny import write_judge, write_models

FAST = {"seeds": "0 1", "variants": "scratch SDFT", "steps": 2, "batch": 2, "images": 4, "count": 4, "sample-steps": 2, "save-every": 1}


@pytest.fixture
def folders(tmp_path):
    torch.manual_seed(0)
    checkpoints = write_models(tmp_path / "checkpoints")
    write_judge(checkpoints / "judge")
    fast = [word for name, value in FAST.items() for word in (f"--{name}", *str(value).split())]
    return [*fast, "--checkpoints", str(checkpoints), "--work", str(tmp_path / "work"), "--out", str(tmp_path / "sdft.md")]


@pytest.mark.long
def test_the_table_has_its_variants_and_names_its_extractors(folders, tmp_path, capsys):
    main(folders)
    text = (tmp_path / "sdft.md").read_text()
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("|")}
    assert all("±" in lines[variant] for variant in ("scratch", "SDFT")) and "±" not in lines["source model"]
    assert all(column in lines["variant"] for column in ("FID", "KID", "LPIPS to source", "glasses", "smiling", "hat"))
    assert "features of tiny clip" in text and "perceptual distance (tiny identity " in text
    assert " 0.000 " in lines["source model"]  # LPIPS to itself
    assert (tmp_path / "work" / "SDFT.png").is_file()

    assert not (tmp_path / "edits").exists()  # nothing is shipped unless it is asked for

    before = (tmp_path / "sdft.md").read_text().splitlines()[-5:]
    capsys.readouterr()
    main([*folders, "--ship", str(tmp_path / "edits")])
    assert "2/2" not in capsys.readouterr().out  # nothing was trained again
    assert (tmp_path / "sdft.md").read_text().splitlines()[-5:] == before
    card = read_card(tmp_path / "edits" / "sdft_painting.safetensors")
    assert (card.name, card.method, card.weights) == ("4 paintings", "sdft", "eight_bit") and "FID" in card.metrics


def test_every_variant_is_settings_of_sdft_and_no_two_are_alike():
    assert parse([]).variants == list(VARIANTS)
    settings = [SDFTTune(**variant) for variant in VARIANTS.values()]
    assert all(a != b for i, a in enumerate(settings) for b in settings[:i])


def test_the_interval_of_three_seeds():
    assert with_interval([1.0, 2.0, 3.0]) == "2.000 ± 2.484"
    assert with_interval([0.5]) == "0.500"
