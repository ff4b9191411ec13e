"""From the form to a job: what is handed to the lab, and every sentence that says why it is not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from core.methods import METHODS, that_train
from core.methods.datum_settings import DatumTune
from core.methods.diffusionclip_settings import DiffusionCLIPTune
from core.models.clip import load_clip
from core.types import Settings, ShiftlabError
from ui.state import LabImage
from ui.tune_presets import preset_for, tune_presets
from ui.tune_request import SOURCE, Pictures, default_name, estimate_html, needs_target, submit
from ui.tune_targets import EXAMPLES, SET

SETTINGS = DiffusionCLIPTune(images=3)


class Lab:
    """Keeps what it is given."""

    base, clip = SimpleNamespace(image_size=16), None

    def submit(self, method, settings, images, name, seed=0, target_images=None, samples=None):
        self.given = SimpleNamespace(method=method, images=images, name=name, seed=seed, target_images=target_images, samples=samples)
        return "id"

    def text_to_image(self):
        return SimpleNamespace(image_size=20)

    def list(self):
        return [SimpleNamespace(live=True)]

    def estimate(self, method, settings, images):
        self.estimated = images
        return SimpleNamespace(seconds=130.0, bytes=3 * 2**29, note="an estimate")


def pictures(*colours: str) -> tuple[LabImage, ...]:
    return tuple(LabImage(colour, Image.new("RGB", (20, 30), colour)) for colour in colours)


class Plain(Settings):
    """Of a method without prompts."""

    images: int = 5


def test_portraits_are_drawn_in_the_base_s_size():
    lab = Lab()
    assert submit(lab, "diffusionclip", SETTINGS, "", 7, Pictures()) == "id"
    assert lab.given.images.shape == (3, 3, 16, 16) and lab.given.samples.shape == (4, 3, 16, 16)
    assert lab.given.name == "pencil sketch of a person" and lab.given.seed == 7 and lab.given.target_images is None


def test_a_base_of_another_domain_learns_from_its_pictures():
    lab = Lab()
    submit(lab, "diffusionclip", SETTINGS, "", 0, Pictures())
    photos, seen = lab.given.images, lab.given.samples
    submit(lab, "diffusionclip", SETTINGS, "", 0, Pictures(learn="painting"))
    assert lab.given.images.shape == photos.shape and not lab.given.images.equal(photos) and not lab.given.samples.equal(seen)


def test_the_source_set_and_target_images():
    lab = Lab()
    settings = SETTINGS.model_copy(update={"image_weight": 1.0, "target_prompt": ""})
    chosen = Pictures(SOURCE, SET, pictures("red", "blue"), pictures("white"))
    submit(lab, "diffusionclip", settings, "mine", 0, chosen)
    assert lab.given.images.shape[0] == 2 and lab.given.target_images.shape[0] == 1
    assert lab.given.name == "mine"


def test_embedded_targets_come_with_portraits_that_lack_what_they_show():
    lab = Lab()
    settings = SETTINGS.model_copy(update={"image_weight": 0.5, "images": 12})
    submit(lab, "diffusionclip", settings, "", 0, Pictures(aim="old"))
    aged = lab.given.images
    submit(lab, "diffusionclip", settings, "", 0, Pictures(aim="sketch"))
    assert lab.given.target_images.shape == (64, 3, 16, 16)
    assert not aged.equal(lab.given.images), "nobody is old among those who learn to be"


def test_a_method_that_learns_from_its_target_gets_those_pictures():
    lab = Lab()
    submit(lab, "sdft", Plain(), "", 0, Pictures(aim="few"))
    assert lab.given.images.equal(lab.given.target_images[:5]) and lab.given.name == EXAMPLES["few"].title
    assert Pictures(aim="few").count("sdft", Plain(images=50)) == 10


def test_datum_s_one_picture_is_whole_and_not_of_the_base_s_size():
    lab = Lab()
    submit(lab, "datum", DatumTune(), "mine", 3, Pictures(target=pictures("red", "blue")))
    assert lab.given.images.shape == (1, 3, 60, 40) and lab.given.images[0, 0].min() > 0.99, "20 × 30, red, at twice the model's size"
    assert (lab.given.name, lab.given.seed, lab.given.target_images, lab.given.samples) == ("mine", 3, None, None)
    submit(lab, "datum", DatumTune(short_side=24), "", 0, Pictures(aim="sketch"))
    assert lab.given.images.shape == (1, 3, 24, 24) and lab.given.name == EXAMPLES["sketch"].title
    small = (LabImage("small", Image.new("RGB", (19, 30))),)
    with pytest.raises(ShiftlabError, match="19×30 pixels, smaller than the model's crops of 20×20"):
        submit(lab, "datum", DatumTune(), "", 0, Pictures(target=small))


def test_what_edit_handed_over_stands_first_among_the_samples():
    lab = Lab()
    submit(lab, "diffusionclip", SETTINGS, "", 0, Pictures(tried=pictures("white")))
    assert lab.given.samples.shape[0] == 4 and float(lab.given.samples[0].min()) == 1.0


@pytest.mark.parametrize(
    ("change", "chosen", "words"),
    [
        ({"target_prompt": " "}, Pictures(), "target prompt is empty"),
        ({"reference_prompt": ""}, Pictures(), "reference prompt is empty"),
        ({}, Pictures(SOURCE), "source set is empty"),
        ({"image_weight": 0.5}, Pictures(), "target set is empty"),
        ({"w_patches": 4.0}, Pictures(), "target set is empty"),
        ({"w_strokes": 4.0}, Pictures(), "target set is empty"),
    ],
)
def test_what_is_missing_is_one_sentence(change, chosen, words):
    with pytest.raises(ShiftlabError, match=words):
        submit(Lab(), "diffusionclip", SETTINGS.model_copy(update=change), "", 0, chosen)


def test_without_a_base_nothing_is_submitted():
    lab = Lab()
    lab.base = None
    with pytest.raises(ShiftlabError, match="No base"):
        submit(lab, "diffusionclip", SETTINGS, "", 0, Pictures())


def test_estimate_counts_the_images_that_there_are():
    lab = Lab()
    html = estimate_html(lab, "diffusionclip", SETTINGS, Pictures(SOURCE, source=pictures("red")))
    assert lab.estimated == 1 and "2 min 10 s" in html and "1.5 GB" in html and "after the run before it" in html
    assert "source set is empty" in estimate_html(lab, "diffusionclip", SETTINGS, Pictures(SOURCE))
    assert "target set is empty" in estimate_html(lab, "sdft", Plain(), Pictures())


@pytest.mark.long
def test_what_the_loaded_clip_cannot_read_is_said():
    lab = Lab()
    lab.clip = load_clip(Path(__file__).parents[2] / "checkpoints" / "clip")
    zombie = SETTINGS.model_copy(update={"target_prompt": "a pencil sketch of a zombie"})
    assert "passes over “zombie”" in estimate_html(lab, "diffusionclip", zombie, Pictures())
    assert "passes over" not in estimate_html(lab, "diffusionclip", SETTINGS, Pictures())
    with pytest.raises(ShiftlabError, match="never taught “zombie”"):
        submit(lab, "diffusionclip", SETTINGS.model_copy(update={"target_prompt": "a photo of a zombie"}), "", 0, Pictures())
    assert submit(lab, "diffusionclip", zombie, "", 0, Pictures()) == "id"


def test_default_name():
    assert default_name(SETTINGS.model_copy(update={"target_prompt": ""})) == "target images"


@pytest.mark.parametrize("name", that_train())
def test_every_preset_runs_as_it_stands_and_says_where_it_comes_from(name):
    presets, settings_class = tune_presets(name), METHODS[name].train_settings
    assert presets, "a method without a preset leaves people alone"
    for preset in presets.values():
        settings = settings_class(**preset.settings)
        assert preset.provenance.endswith(".")
        assert preset.target_images in EXAMPLES if needs_target(name, settings) else not preset.target_images


def test_prompts_bring_their_preset_and_others_the_first_without_prompts():
    presets = tune_presets("diffusionclip").values()
    assert preset_for(presets, "A photo of a person", "a pencil sketch of a person.").target_images == "sketch"
    other = preset_for(presets, "a photo of a person", "a bronze statue of a person")
    assert other.settings["image_weight"] == 0 and "target_prompt" not in other.settings
    assert tune_presets("a method without presets") == {}
