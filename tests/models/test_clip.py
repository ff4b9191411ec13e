"""The embedded CLIP: preprocessing, gradients, prompts and directions. Tiny random model, no network."""

import copy

import pytest
import torch
import torch.nn.functional as F

from core.models.clip import IMAGENET_TEMPLATES, Clip, fill_templates, load_clip, mix_directions, save_clip
from core.models.clip_hub import load_open_clip
from core.types import ShiftlabError
from tests.tiny import CLIP_CONFIG, CLIP_PREPROCESSING, write_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Clip:
    return load_clip(write_clip(tmp_path_factory.mktemp("clip")))


SIZE = CLIP_CONFIG["vision_cfg"]["image_size"]


def images(count: int = 2, size: int = SIZE) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_preprocessing_by_hand(clip):
    x = images()
    mean, std = (torch.tensor(CLIP_PREPROCESSING[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    assert torch.allclose(clip.preprocess(x), ((x + 1) / 2 - mean) / std, atol=1e-6)


def test_preprocessing_does_not_clamp(clip):
    x = torch.full((1, 3, SIZE, SIZE), 1.5, requires_grad=True)
    clip.preprocess(x).sum().backward()
    assert (x.grad > 0).all()


def test_preprocessing_resizes_the_short_side_and_cuts_the_middle(clip):
    x = torch.full((1, 3, 2 * SIZE, 4 * SIZE), -1.0)
    x[..., SIZE : 3 * SIZE] = 1.0  # the middle square is white, both wings are black
    middle = clip.preprocess(x)
    assert middle.shape == (1, 3, SIZE, SIZE)
    assert torch.allclose(middle[..., 4:-4], clip.preprocess(torch.ones(1, 3, SIZE, SIZE))[..., 4:-4], atol=1e-3)


def test_embeddings_are_unit_vectors_with_gradient(clip):
    x = images().requires_grad_(True)
    embedding = clip.encode_image(x)
    assert torch.allclose(embedding.norm(dim=-1), torch.ones(2), atol=1e-5)
    embedding[:, 0].sum().backward()
    assert x.grad.abs().sum() > 0
    assert torch.allclose(clip.encode_text(["a face"]).norm(), torch.tensor(1.0), atol=1e-5)


def test_prompts_are_encoded_once(clip, monkeypatch):
    first = clip.encode_text(["a red cat", "a dog"])
    monkeypatch.setattr(clip, "tokenizer", None)
    assert torch.equal(clip.encode_text(["a dog", "a red cat"]), first.flip(0))


def test_phrases_lose_their_article_where_the_template_brings_one():
    assert fill_templates("a photo of a person", ["a bad photo of a {}.", "{}", "itap of my {}."]) == [
        "a bad photo of a photo of a person.",
        "a photo of a person",
        "itap of my photo of a person.",
    ]
    assert len(IMAGENET_TEMPLATES) == 80


def test_text_direction_by_hand(clip):
    templates = ("{}", "a bright {}")
    difference = sum(
        clip.encode_text([template.format("sketch")])[0] - clip.encode_text([template.format("photo")])[0] for template in templates
    )
    assert torch.allclose(clip.text_direction("photo", "sketch", templates), F.normalize(difference, dim=-1), atol=1e-4)


def test_directions_from_images_and_mixtures(clip):
    sources, targets = images(5), -images(3)
    expected = F.normalize(clip.encode_image(targets).mean(0) - clip.encode_image(sources).mean(0), dim=-1)
    image = clip.image_direction(sources, targets, batch=2)
    assert torch.allclose(image, expected, atol=1e-3)  # embeddings of a random model hardly differ: ΔI is short
    text = clip.text_direction("a photo", "a sketch")
    assert torch.allclose(mix_directions(text, image, 0.0), text, atol=1e-3)
    assert torch.allclose(mix_directions(text, image, 1.0), image, atol=1e-3)
    assert torch.allclose(mix_directions(text, image, 0.5), F.normalize(text + image, dim=-1), atol=1e-3)


@pytest.mark.parametrize(("reference", "target", "said"), [("", "a sketch", "reference"), ("a", " ", "target"), ("a", "a ", "same")])
def test_prompts_that_point_nowhere_are_sentences(clip, reference, target, said):
    with pytest.raises(ShiftlabError, match=said):
        clip.text_direction(reference, target)


CONFIG = {"model_cfg": CLIP_CONFIG, "preprocess_cfg": CLIP_PREPROCESSING}


def test_what_is_saved_comes_back(clip, tmp_path):
    save_clip(tmp_path, clip.model, CONFIG, {"name": "again", "templates": ["{}", "{}, drawn"]})
    again = load_clip(tmp_path)
    assert again.fingerprint == clip.fingerprint
    assert again.name == "again" and again.templates == ("{}", "{}, drawn")


def test_half_precision_is_read_as_float32(clip, tmp_path):
    save_clip(tmp_path, copy.deepcopy(clip.model).half(), CONFIG, {})
    again = load_clip(tmp_path)
    assert {value.dtype for value in again.model.parameters()} == {torch.float32}
    assert torch.allclose(again.encode_image(images()), clip.encode_image(images()), atol=1e-2)


def test_a_folder_without_weights_is_a_sentence(tmp_path):
    with pytest.raises(ShiftlabError, match="lacks"):
        load_clip(tmp_path)


@pytest.mark.parametrize(
    ("name", "tag", "said"), [("ViT-B-16", "openai", "not on this machine"), ("ViT-B-16", "nope", "nor a tag"), ("none", "x", "no model")]
)
def test_models_of_the_hub_are_not_fetched_unasked(name, tag, said):
    with pytest.raises(ShiftlabError, match=said):
        load_open_clip(name, tag)


TAUGHT = [320, 1125, 539, 2533, 49406, 49407]  # a photo of person, start and end


def test_a_file_of_the_taught_words_alone(clip, tmp_path):
    save_clip(tmp_path / "all", clip.model, CONFIG, {})
    save_clip(tmp_path / "few", clip.model, CONFIG, {}, TAUGHT)
    few = load_clip(tmp_path / "few")
    assert torch.equal(few.encode_text(["a photo of a person"]), clip.encode_text(["a photo of a person"]))
    assert torch.equal(few.encode_text(["a photo of a zebra"]), few.encode_text(["a photo of a giraffe"]))
    assert (tmp_path / "few" / "model.safetensors").stat().st_size * 2 < (tmp_path / "all" / "model.safetensors").stat().st_size
    save_clip(tmp_path / "again", few.model, CONFIG, {}, few.taught)
    assert load_clip(tmp_path / "again").fingerprint == few.fingerprint
    assert few.strange_words("a Photo of a zebra, a person-like zebra") == ["zebra", "person-like"]
    assert clip.strange_words("a zebra") == []


def test_prompts_that_say_the_same_to_a_small_clip_are_a_sentence(clip, tmp_path):
    save_clip(tmp_path, clip.model, CONFIG, {"name": "Small", "least_direction": 1e-4}, TAUGHT)
    small = load_clip(tmp_path)
    with pytest.raises(ShiftlabError, match="Small sees no difference between “a zebra” and “a giraffe”, for it was never taught"):
        small.text_direction("a zebra", "a giraffe")
    assert small.text_direction("a photo", "a person").norm().item() == pytest.approx(1, abs=1e-3)
