"""The comparison of translations over tuned bases, on tiny random models: its rows, and which edits each method walks with."""

import pytest
import torch

from core.data.edits import load_edit, read_card, save_edit
from core.metrics.distribution import Extractor, frechet_distance
from core.metrics.perceptual import perceptual_of_identity
from core.models.base import load_base
from core.models.identity import load_identity
from core.pretrain.translation_quality import compare, domain_classifier, main, parser, settings_of, translated
from core.types import Context, Edit, EditCard
from core.worlds import portraits as world
from tests.tiny import IMAGE_SIZE, write_models


@pytest.fixture(scope="module")
def context(tmp_path_factory) -> Context:
    folder = write_models(tmp_path_factory.mktemp("checkpoints"))
    identity = load_identity(folder / "identity")
    base = load_base(folder / "base", dtype=torch.float32)
    return Context(base=base, identity=identity, perceptual=perceptual_of_identity(identity))


@pytest.fixture(scope="module")
def bases(context) -> dict[str, Edit]:
    generator = torch.Generator().manual_seed(0)

    def noisy(name: str, scale: float) -> Edit:
        weights = {key: value + scale * torch.randn(value.shape, generator=generator) for key, value in context.base.state_dict().items()}
        return Edit(EditCard(name=name, method="sdft", base_fingerprint=context.base.fingerprint), weights)

    return {"naive": noisy("naive", 0.02), "sdft": noisy("sdft", 0.001)}


@pytest.fixture(scope="module")
def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(world.render(world.sample(3, seed), domain, IMAGE_SIZE) for seed, domain in ((1, "photo"), (2, "painting")))


COLOURS = Extractor("mean colours", lambda images: images.mean(dim=(2, 3)))


@pytest.mark.long
def test_a_row_for_every_method_over_every_base(context, bases, pictures):
    photos, targets = pictures
    classifier = domain_classifier("painting", 2, 4, context)
    assert classifier.card.weights == "own"
    settings = settings_of(IMAGE_SIZE, steps=2, return_step=40)
    rows = list(compare(bases, classifier, settings, photos, targets, COLOURS, context))
    assert [(row["method"], row["base"]) for row, _ in rows] == [
        ("untouched", ""), ("SDEdit", "naive"), ("EGSDE", "naive"), ("SDEdit", "sdft"), ("EGSDE", "sdft"),
    ]  # fmt: skip
    untouched, images = rows[0]
    assert untouched["SSIM"] == pytest.approx(1.0) and untouched["LPIPS"] == pytest.approx(0.0, abs=1e-6) and images is photos
    for row, images in rows[1:]:
        assert images.shape == photos.shape and row["SSIM"] < 0.999
        assert row["FID"] == pytest.approx(frechet_distance(COLOURS(images), COLOURS(targets)))
        assert row.keys() == untouched.keys()


def test_a_photograph_does_not_depend_on_the_others(context, bases, pictures):
    photos, _ = pictures
    settings = settings_of(IMAGE_SIZE, steps=2, return_step=40)["sdedit"]
    whole = translated(settings, (bases["sdft"],), photos, context)
    assert torch.allclose(translated(settings, (bases["sdft"],), photos[:1], context), whole[:1], atol=1e-4)


def test_bases_are_named_on_the_command_line_or_after_their_files():
    (first, second) = parser().parse_args(["painting", "naive=a/b.safetensors", "c/sdft.safetensors"]).bases
    assert (first[0], str(first[1]), second[0]) == ("naive", "a/b.safetensors", "sdft")


@pytest.mark.long
def test_the_command_writes_the_table_and_keeps_its_classifier(tmp_path, bases, context):
    checkpoints, edit = write_models(tmp_path / "checkpoints"), tmp_path / "sdft.safetensors"
    save_edit(edit, bases["sdft"], context.base.state_dict(), "full")
    numbers = {"iterations": 2, "learn": 4, "count": 3, "steps": 2, "return-step": 40}
    folders = {"checkpoints": checkpoints, "cache": tmp_path / "cache", "out": tmp_path / "table.md"}
    options = [word for name, value in {**numbers, **folders}.items() for word in (f"--{name}", str(value))]
    main(["painting", f"sdft={edit}", *options, "--ship", str(tmp_path / "edits")])
    table = (tmp_path / "table.md").read_text()
    assert all(word in table for word in ("untouched", "SDEdit", "EGSDE", "FID", "features of tiny clip", "tiny identity"))
    assert (tmp_path / "cache/egsde/painting.safetensors").is_file() and (tmp_path / "cache/egsde/painting.png").is_file()
    shipped, whole = tmp_path / "edits/egsde_painting.safetensors", tmp_path / "cache/egsde/painting.safetensors"
    assert read_card(shipped).name == "Photo or painting" and shipped.stat().st_size < 0.6 * whole.stat().st_size
    settings, photos = settings_of(IMAGE_SIZE, steps=2, return_step=40)["egsde"], torch.zeros(1, 3, IMAGE_SIZE, IMAGE_SIZE)
    half, full = (translated(settings, (load_edit(path, {}), bases["sdft"]), photos, context) for path in (shipped, whole))
    assert torch.allclose(half, full, atol=1e-2)
