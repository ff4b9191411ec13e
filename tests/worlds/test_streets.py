"""The streets world: a scene's picture and labels must depend on that scene alone, agree with each other, and differ by weather."""

import numpy as np
import pytest
import torch
from PIL import Image

from core.types import ShiftlabError
from core.worlds import streets as world
from core.worlds.examples import SIZE, STREETS, STREETS_SEED, draw_streets
from core.worlds.street_raster import paint


@pytest.mark.long
@pytest.mark.parametrize("domain", world.DOMAINS)
def test_an_item_is_drawn_the_same_alone_and_in_a_batch(domain):
    scenes = world.sample(3, seed=1)
    together = world.render(scenes, domain)
    alone = torch.cat([world.render(scenes[k], domain) for k in range(3)])
    assert together.shape == (3, 3, 64, 128) and together.dtype == torch.float32
    assert together.min() >= -1 and together.max() <= 1 and together.isfinite().all()
    assert torch.allclose(together, alone, atol=1e-5)
    assert torch.equal(together, world.render(world.sample(3, seed=1), domain))


@pytest.mark.long
def test_labels_are_the_same_alone_and_in_a_batch_and_carry_known_ids():
    scenes = world.sample(20, seed=3)
    together = world.labels(scenes)
    assert together.shape == (20, 64, 128) and together.dtype == torch.uint8
    assert torch.equal(together, torch.cat([world.labels(scenes[k]) for k in range(20)]))
    assert set(together.unique().tolist()) <= set(world.CLASSES.values()) == set(world.PALETTE)


def test_the_first_of_a_larger_sample_are_the_same():
    few, many = world.sample(3, seed=4), world.sample(9, seed=4)[:3]
    assert torch.equal(few.numbers, many.numbers) and torch.equal(few.seeds, many.seeds)
    assert world.captions(few, "rain", seed=1) == world.captions(many, "rain", seed=1)
    assert not torch.equal(few.numbers, world.sample(3, seed=5).numbers)


@pytest.mark.parametrize("height", (32, 48, 96))
def test_any_height_can_be_drawn_and_shows_the_same_scene(height):
    scenes = world.sample(2, seed=6)
    picture, truth = world.render(scenes, "fog", height), world.labels(scenes, height)
    assert picture.shape == (2, 3, height, 2 * height) and truth.shape == (2, height, 2 * height)
    usual = torch.nn.functional.interpolate(world.labels(scenes)[:, None].float(), size=truth.shape[1:])[:, 0]
    assert (usual == truth).float().mean() > 0.9


@pytest.mark.long
def test_labels_follow_what_the_day_picture_shows():
    """Edges of the truth are edges of the picture, and sky and leaves have their colours."""
    scenes = world.sample(24, seed=7)
    picture, truth = world.render(scenes, "day"), world.labels(scenes)
    border = truth[:, :, 1:] != truth[:, :, :-1]
    step = (picture[..., 1:] - picture[..., :-1]).abs().amax(1)
    assert step[border].mean() > 4 * step[~border].mean()
    red, green, blue = picture.unbind(1)
    sky, leaves = truth == world.CLASSES["sky"], truth == world.CLASSES["vegetation"]
    assert (blue >= red - 0.05)[sky].float().mean() > 0.97 and (green > blue)[leaves].float().mean() > 0.9


@pytest.mark.long
def test_rare_classes_are_rare_and_common_ones_nearly_everywhere():
    shown = world.visible(world.sample(250, seed=8))
    often = {name: np.mean([shares.get(name, 0) > 0.0005 for shares in shown]) for name in world.CLASSES}
    assert all(often[name] > 0.9 for name in ("road", "sidewalk", "building", "sky", "vegetation", "pole"))
    assert all(0.08 < often[name] < 0.3 for name in ("bus", "rider", "traffic light"))
    assert all(0.3 < often[name] <= 1 for name in ("car", "person", "traffic sign"))
    assert all(abs(sum(shares.values()) - 1) < 1e-5 for shares in shown)


@pytest.mark.long
def test_every_domain_is_a_picture_of_its_own():
    scenes = world.sample(6, seed=9)
    pictures = {domain: world.render(scenes, domain) for domain in world.DOMAINS}
    for k, one in enumerate(world.DOMAINS):
        for other in world.DOMAINS[k + 1 :]:
            assert (pictures[one] - pictures[other]).abs().mean((1, 2, 3)).min() > 0.08
    light = {domain: float(picture.mean()) for domain, picture in pictures.items()}
    assert light["night"] < light["rain"] < light["day"] < light["snow"]
    assert pictures["fog"].std((2, 3)).mean() < 0.8 * pictures["day"].std((2, 3)).mean()
    assert (pictures["night"] > 0.6).float().mean() > 0.001  # lamps and windows shine


@pytest.mark.long
def test_fog_hides_what_is_far_more_than_what_is_near():
    scenes = world.sample(12, seed=10)
    step = {domain: (world.render(scenes, domain)[..., 1:] - world.render(scenes, domain)[..., :-1]).abs() for domain in ("day", "fog")}
    far, near = (float(step["fog"][..., rows, :].mean() / step["day"][..., rows, :].mean()) for rows in (slice(26, 36), slice(50, 64)))
    assert far < 0.7 * near


@pytest.mark.long
def test_captions_name_the_domain_and_only_what_is_there():
    scenes = world.sample(120, seed=11)
    words = {"day": ("day",), "night": ("night",), "fog": ("fog",), "snow": ("snow",), "rain": ("rain",)}
    for domain in world.DOMAINS:
        lines = world.captions(scenes, domain, seed=1)
        assert all(any(word in line for word in words[domain]) for line in lines) and len(set(lines)) > 80
        assert any(word in world.DOMAIN_PROMPTS[domain] for word in words[domain])
    lines, found = world.captions(scenes, "night", seed=2), world.counts(scenes)
    assert all(count["bus"] > 0 for line, count in zip(lines, found, strict=True) if " bus" in line)
    assert any(" bus" in line for line in lines) and any("two cars" in line for line in lines)
    assert all(count["car"] == 2 for line, count in zip(lines, found, strict=True) if "two cars" in line)


def test_an_unknown_domain_is_a_sentence():
    for asked in (lambda: world.render(world.sample(1, 0), "sketch"), lambda: world.captions(world.sample(1, 0), "sketch", 0)):
        with pytest.raises(ShiftlabError, match="no domain 'sketch'"):
            asked()


def test_polygons_are_painted_in_order_and_exactly_at_pixel_centres():
    square = np.array([[-0.5, -0.5], [0.0, -0.5], [0.0, 0.0], [-0.5, 0.0]])
    shown = paint(np.array([0, 0, 1]), np.stack([square, square + 0.25, square + 0.5]), 2, 4, 8)
    assert (shown[0, :2, 2:4] == 0).sum() == 3 and (shown[0, 1:3, 3:5] == 1).all()  # pixels are 0.25 wide
    assert (shown[1, 2:4, 4:6] == 2).all() and (shown >= 0).sum() == 3 + 4 + 4
    beside = paint(np.array([0]), square[None] + 5, 1, 4, 8)
    assert (beside == -1).all()


@pytest.mark.long
def test_the_example_pictures_are_three_streets_at_night_and_in_fog(tmp_path):
    draw_streets(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{domain}_{k}.png" for domain in ("fog", "night") for k in (1, 2, 3)]
    scene = world.sample(STREETS[0] + 1, STREETS_SEED)[STREETS[0]]
    drawn = (world.render(scene, "night", SIZE // 2)[0] + 1) * 127.5
    kept = np.asarray(Image.open(tmp_path / "night_1.png"), dtype=np.float32)
    assert kept.shape == (SIZE // 2, SIZE, 3) and np.abs(kept - drawn.permute(1, 2, 0).numpy()).max() <= 1
