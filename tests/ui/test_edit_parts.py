"""The parts of the Edit tab that are plain functions: scores, presets, records."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from PIL import Image

from core.methods.datum import DatumEdit
from core.methods.diffusionclip_settings import DiffusionCLIPEdit
from tests.ui.fake_lab import FakeLab
from ui.prompts import load_presets
from ui.requests import Plan, recall
from ui.scores import identity_html, place_between, scores_html
from ui.state import LabImage

IDENTITY = SimpleNamespace(name="fake", floor=0.2, ceiling=0.8)


def test_the_marker_stands_between_floor_and_ceiling() -> None:
    assert place_between(0.2, 0.2, 0.8) == 0
    assert place_between(0.5, 0.2, 0.8) == pytest.approx(50)
    assert place_between(0.95, 0.2, 0.8) == 100
    assert place_between(-1.0, 0.2, 0.8) == 0
    assert place_between(0.5, 0.8, 0.8) == 0


def test_identity_is_a_meter_that_a_screen_reader_reads() -> None:
    html = identity_html(0.65, IDENTITY)
    assert 'role="meter"' in html and 'aria-valuenow="0.65"' in html
    assert "left:75.0%" in html and "floor 0.20" in html and "0.80 ceiling" in html
    assert 'aria-valuetext="0.65, nearer to the same person"' in html
    assert "floor 0.00" in identity_html(0.65, SimpleNamespace(name="fake", floor=-0.0002, ceiling=0.8))


@pytest.mark.parametrize(("score", "now"), [(0.95, "0.80"), (0.1, "0.20")])
def test_a_score_beyond_the_scale_is_told_in_words(score: float, now: str) -> None:
    html = identity_html(score, IDENTITY)
    assert f'aria-valuenow="{now}"' in html and f'aria-valuetext="{score:.2f}, nearer' in html


@pytest.mark.parametrize("score", [None, math.nan])
def test_no_face_is_a_state_of_its_own(score: float | None) -> None:
    html = identity_html(score, IDENTITY)
    assert "No face found" in html and "marker" not in html


def test_no_encoder_is_said() -> None:
    assert "No identity encoder is loaded" in identity_html(0.5, None)
    unmeasured = identity_html(0.5, SimpleNamespace(floor=None, ceiling=None, card={}))
    assert "0.50" in unmeasured and "not measured" in unmeasured and "marker" not in unmeasured


def test_the_numbers_name_the_extractor_and_the_cache() -> None:
    scores = {"s_dir": 0.2, "perceptual": 0.31, "psnr": 21.2}
    html = scores_html(scores, {"total": 0.7, "cached": 1.0}, IDENTITY, SimpleNamespace(name="VGG <b>"))
    for text in ("0.20", "0.31", "21.2 dB", "0.7 s", "cached", "VGG &lt;b&gt;"):
        assert text in html
    assert "cached</small>" not in scores_html({}, {"total": 0.7, "cached": 0.0}, IDENTITY, None)


def test_presets_are_settings_with_provenance() -> None:
    presets = load_presets()
    assert len({preset.name for preset in presets}) == len(presets) >= 6
    for preset in presets:
        DiffusionCLIPEdit(reference_prompt=preset.reference, target_prompt=preset.target, return_step=preset.return_step)
        assert preset.provenance


def test_a_picture_for_datum_has_the_size_of_the_text_to_image_model(monkeypatch: pytest.MonkeyPatch) -> None:
    lab, model = FakeLab(), SimpleNamespace(image_size=32)
    context = SimpleNamespace(base=lab.base, text_to_image=lambda: model)
    lab.methods["datum"] = SimpleNamespace(edit_settings=DatumEdit)
    monkeypatch.setattr(lab, "context", lambda: context)
    picture = LabImage("face", Image.radial_gradient("L").convert("RGB"))
    plan = Plan(picture, DatumEdit())
    assert plan.request(lab).images.shape == (1, 3, 32, 32) and plan.square(lab).size == (32, 32)
    kept = recall(plan.record(lab), lab).picture
    assert kept is not None and kept.image.tobytes() == plan.square(lab).tobytes(), "what was edited, not a smaller copy"
    assert Plan(picture, DiffusionCLIPEdit()).request(lab).images.shape == (1, 3, 16, 16)
