"""`python -m core personalise` and `generate`, one after the other, as the README has them."""

from __future__ import annotations

import pytest
import torch

from core.cli.app import main
from core.data.images import to_pil
from core.data.png import write_png
from tests.tiny import write_identity
from tests.tiny_text_to_image import write_text_to_image

pytestmark = pytest.mark.long

QUICK = ["--steps", 2, "--checkpoint-every", 1, "--sample-steps", 2, "--rank", 2]


@pytest.fixture
def run(tmp_path, capsys):
    checkpoints = tmp_path / "checkpoints"
    write_text_to_image(checkpoints / "streets")
    write_identity(checkpoints / "identity")
    models = ["--home", tmp_path / "home", "--checkpoints", checkpoints, "--device", "cpu", "--precision", "fp32"]

    def call(*words):
        status = main([str(word) for word in (*words, *models)])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


@pytest.fixture
def shot(tmp_path):
    return write_png(tmp_path / "night.png", to_pil(torch.rand(3, 20, 40) * 2 - 1), {})


def test_from_one_image_to_a_set(run, shot, tmp_path):
    out = tmp_path / "night"
    status, printed, _ = run("personalise", shot, "--out", out, *QUICK)
    assert status == 0 and [line.split()[-1] for line in printed.splitlines()] == ["1", "2"]
    weights = out / "personalised" / "step_000001.safetensors"
    words = ["generate", weights, "--class", "car=2", "--class", "traffic light=1", "--steps", 2, "--out", tmp_path / "set"]
    status, printed, _ = run(*words)
    assert status == 0 and "near-duplicate pairs, by perceptual distance (tiny identity)" in printed
    assert len(list((tmp_path / "set" / "generated").glob("*.png"))) == 3
    assert "3 of 3 pictures were there already" in run(*words)[2]
    status, _, err = run(*words, "--seed", 1)
    assert status == 1 and "other settings" in err


def test_what_is_wrong_is_a_sentence(run, shot, tmp_path):
    assert "There is no class to generate" in run("generate", "--out", tmp_path / "a")[2]
    assert run("generate", "--class", "car=many")[0] == 2
    status, _, err = run("personalise", shot, shot, "--out", tmp_path / "b")
    assert status == 1 and "DATUM learns one image, and 2 are named" in err
    status, _, err = run("personalise", shot, "--token", "V*", "--out", tmp_path / "c", *QUICK)
    assert status == 1 and "must be one token" in err
    status, _, err = run("personalise", shot, "--text-to-image", tmp_path / "nowhere", "--out", tmp_path / "d")
    assert status == 1 and "nowhere" in err
