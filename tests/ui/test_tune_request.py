"""From the form to a job: what is handed to the lab, and every sentence that says why it is not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from PIL import Image

from core.methods.diffusionclip_settings import DiffusionCLIPTune
from core.types import ShiftlabError
from ui.state import LabImage
from ui.tune_presets import tune_presets
from ui.tune_request import PORTRAITS, SOURCE, default_name, estimate_html, submit

SETTINGS = DiffusionCLIPTune(images=3)


class Lab:
    """Keeps what it is given."""

    base = SimpleNamespace(image_size=16)

    def submit(self, method, settings, images, name, seed=0, target_images=None, samples=None):
        self.given = SimpleNamespace(method=method, images=images, name=name, seed=seed, target_images=target_images, samples=samples)
        return "id"

    def list(self):
        return [SimpleNamespace(live=True)]

    def estimate(self, method, settings, images):
        self.estimated = images
        return SimpleNamespace(seconds=130.0, bytes=3 * 2**29, note="an estimate")


def pictures(*colours: str) -> list[LabImage]:
    return [LabImage(colour, Image.new("RGB", (20, 30), colour)) for colour in colours]


def test_portraits_are_drawn_in_the_base_s_size():
    lab = Lab()
    assert submit(lab, "diffusionclip", SETTINGS, "", 7, PORTRAITS, [], []) == "id"
    assert lab.given.images.shape == (3, 3, 16, 16) and lab.given.samples.shape == (4, 3, 16, 16)
    assert lab.given.name == "pencil sketch of a person" and lab.given.seed == 7 and lab.given.target_images is None


def test_the_source_set_and_target_images():
    lab = Lab()
    settings = SETTINGS.model_copy(update={"image_weight": 1.0, "target_prompt": ""})
    submit(lab, "diffusionclip", settings, "mine", 0, SOURCE, pictures("red", "blue"), pictures("white"))
    assert lab.given.images.shape[0] == 2 and lab.given.target_images.shape[0] == 1
    assert lab.given.name == "mine"


def test_what_edit_handed_over_stands_first_among_the_samples():
    lab = Lab()
    submit(lab, "diffusionclip", SETTINGS, "", 0, PORTRAITS, [], [], tuple(pictures("white")))
    assert lab.given.samples.shape[0] == 4 and float(lab.given.samples[0].min()) == 1.0


@pytest.mark.parametrize(
    ("change", "which", "words"),
    [
        ({"target_prompt": " "}, PORTRAITS, "target prompt is empty"),
        ({"reference_prompt": ""}, PORTRAITS, "reference prompt is empty"),
        ({}, SOURCE, "source set is empty"),
        ({"image_weight": 0.5}, PORTRAITS, "target set is empty"),
    ],
)
def test_what_is_missing_is_one_sentence(change, which, words):
    with pytest.raises(ShiftlabError, match=words):
        submit(Lab(), "diffusionclip", SETTINGS.model_copy(update=change), "", 0, which, [], [])


def test_without_a_base_nothing_is_submitted():
    lab = Lab()
    lab.base = None
    with pytest.raises(ShiftlabError, match="No base"):
        submit(lab, "diffusionclip", SETTINGS, "", 0, PORTRAITS, [], [])


def test_estimate_counts_the_images_that_there_are():
    lab = Lab()
    html = estimate_html(lab, "diffusionclip", SETTINGS, SOURCE, pictures("red"))
    assert lab.estimated == 1 and "2 min 10 s" in html and "1.5 GB" in html and "after the run before it" in html
    assert "empty" in estimate_html(lab, "diffusionclip", SETTINGS, SOURCE, [])


def test_default_name():
    assert default_name(SETTINGS.model_copy(update={"target_prompt": ""})) == "target images"


def test_every_preset_fits_its_settings_class_and_says_where_it_comes_from():
    presets = tune_presets("diffusionclip")
    assert len(presets) >= 10
    for preset in presets.values():
        DiffusionCLIPTune(**preset.settings)
        assert preset.provenance.endswith(".")
    assert tune_presets("a method without presets") == {}
