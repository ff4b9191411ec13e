"""The parts of self-training, each against what its equation says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.adaptation.mean_teacher import batch_statistics, follow
from core.adaptation.segment_batches import RareClasses, class_shares, plain
from core.adaptation.segment_fit import groups, losses, pace
from core.adaptation.segment_mix import class_mix, pseudo_labels, strong
from core.adaptation.segment_overlays import colours, laid_over, legend, legend_picture
from core.adaptation.segment_pixels import Scenes, mapped_scenes
from core.adaptation.segment_settings import PRESETS, SegmentSettings
from core.adaptation.segmenter import Segmenter, load_segmenter, new_segmenter
from core.data.mask_classes import IGNORE, cityscapes, mask_classes
from core.models.segformer import SMALL, check_side, open_segformer
from core.types import ShiftlabError
from tests.adaptation.segment_helpers import CLASSES, labelled, write_backbone
from tests.tiny import drained


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return write_backbone(tmp_path_factory.mktemp("mit"))


@pytest.fixture(scope="module")
def segmenter(backbone):
    return new_segmenter(str(backbone), CLASSES, 0, "cpu", torch.float32)


def test_a_batch_weighs_what_its_teacher_is_sure_of():
    logits = torch.zeros(1, 3, 2, 2)
    logits[0, 2, 0] = 10.0  # two of four pixels are sure
    said, weight = pseudo_labels(logits, 0.968)
    assert weight == pytest.approx(0.5) and said[0, 0].tolist() == [2, 2]


def test_half_of_the_source_classes_are_pasted():
    labels = torch.arange(5, dtype=torch.uint8).repeat_interleave(4).view(1, 4, 5).clone()
    labels[0, 3, 4] = IGNORE
    source, target = torch.ones(1, 3, 4, 5), -torch.ones(1, 3, 4, 5)
    x, y, weight = class_mix((source, labels), (target, torch.full((1, 4, 5), 9, dtype=torch.uint8)), 0.25, generator())
    pasted = x[0, 0] == 1
    assert len(labels[0][pasted].unique()) == 3  # of five, rounded up
    assert torch.equal(pasted, (y[0] != 9)) and not pasted[3, 4]
    assert torch.equal(weight[0], torch.where(pasted, 1.0, 0.25))
    for number in labels[0][pasted].unique():
        assert pasted[labels[0] == number].all()  # a class is pasted whole


def test_rare_classes_are_drawn_by_their_softmax():
    counts = np.array([[900, 50, 50, 0], [950, 40, 10, 0]])
    f = torch.tensor([1850, 90, 60]) / 2000
    shares = class_shares(counts, 0.1)
    assert shares[:3].tolist() == pytest.approx(((1 - f) / 0.1).softmax(0).tolist()) and shares[3] == 0


def test_a_rare_class_is_in_the_crop():
    masks = np.zeros((6, 16, 64), np.uint8)
    masks[4, 4:12, 40:48] = 2
    masks[:, :, :8] = 1
    counts = np.stack([np.bincount(mask.ravel(), minlength=3) for mask in masks])
    _, y = RareClasses(Scenes(np.zeros((6, 3, 16, 64), np.uint8), masks, counts), 16, 0.01, 0.01).draw(16, generator())
    assert all(bool((mask > 0).any()) for mask in y)
    assert sum(bool((mask == 2).any()) for mask in y) > 8
    _, plainly = RareClasses(Scenes(np.zeros((6, 3, 16, 64), np.uint8), masks, counts), 16, 0.0, 0.01).draw(16, generator())
    assert sum(bool((mask == 2).any()) for mask in plainly) < 8


def test_draws_depend_on_their_generator_alone():
    images = np.random.default_rng(0).integers(0, 255, (3, 3, 16, 32), np.uint8)
    scenes = Scenes(images, None, np.zeros((3, 2), np.int64))
    a, b = (plain(scenes, 4, 16, generator(7)) for _ in range(2))
    assert torch.equal(a, b) and a.shape == (4, 3, 16, 16) and not torch.equal(a, plain(scenes, 4, 16, generator(8)))
    x = torch.rand(4, 3, 16, 16, generator=generator()) * 2 - 1
    one, two = (strong(x, 0.3, 1.0, generator(3)) for _ in range(2))
    assert torch.equal(one, two) and one.abs().max() <= 1.0001 and not torch.equal(one, x)
    assert torch.equal(strong(x, 0.0, 0.0, generator(3)), x)


def test_the_teacher_follows():
    teacher, student = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2)
    with torch.no_grad():
        student.weight.fill_(3.0)
        student.num_batches_tracked.fill_(5)
    follow(teacher, student, 0.75)
    assert teacher.weight.tolist() == [1.5, 1.5] and int(teacher.num_batches_tracked) == 5


def test_the_rate_rises_and_falls():
    rates = [pace(step, 10, 3) for step in range(10)]
    assert rates[0] == 0.25 and rates.index(max(rates)) == 3 and rates[9] == pytest.approx(0.1) and rates[5] == pytest.approx(0.5)


def test_the_head_learns_faster_and_biases_do_not_decay(segmenter):
    found = groups(segmenter.network, SegmentSettings(head_factor=10.0, weight_decay=0.5))
    assert {(group["factor"], group["weight_decay"]) for group in found} == {(1.0, 0.5), (1.0, 0.0), (10.0, 0.5), (10.0, 0.0)}
    assert sum(len(group["params"]) for group in found) == len(list(segmenter.network.parameters()))


def test_a_teacher_normalises_by_the_batch_and_keeps_nothing_of_it():
    norm = torch.nn.BatchNorm2d(2).eval()
    dark = torch.randn(4, 2, 8, 8, generator=generator()) - 5
    with batch_statistics(norm):
        seen = norm(dark)
    assert seen.mean().abs() < 1e-5 and (norm.running_mean == 0).all() and (norm.running_var == 1).all()
    assert not norm.training and norm.momentum == 0.1 and torch.allclose(norm(dark), dark, atol=1e-3)


def test_pixels_without_a_class_have_no_loss(segmenter):
    x, y = torch.zeros(1, 3, 16, 16), torch.full((1, 16, 16), IGNORE, dtype=torch.uint8)
    y[0, 0, 0] = 1
    found = losses(segmenter, x, y)
    assert found.shape == (1, 16, 16) and int((found > 0).sum()) == 1


def test_the_small_network_is_small_and_its_own():
    network = open_segformer(SMALL, 12, seed=1)
    assert 1e6 < sum(p.numel() for p in network.parameters()) < 2e6
    again, other = open_segformer(SMALL, 12, seed=1), open_segformer(SMALL, 12, seed=2)
    first = [next(net.decode_head.classifier.parameters()) for net in (network, again, other)]
    assert torch.equal(first[0], first[1]) and not torch.equal(first[0], first[2])


def test_a_backbone_from_a_folder_is_kept_and_its_head_begins_anew(backbone):
    one, two = open_segformer(str(backbone), 3, seed=1), open_segformer(str(backbone), 3, seed=2)
    assert all(torch.equal(a, b) for a, b in zip(one.segformer.parameters(), two.segformer.parameters(), strict=True))
    assert not torch.equal(one.decode_head.classifier.weight, two.decode_head.classifier.weight) and one.config.num_labels == 3


def test_what_is_no_segformer_is_refused(backbone, tmp_path):
    with pytest.raises(ShiftlabError, match=r"no config\.json"):
        open_segformer(str(tmp_path), 3)
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(ShiftlabError, match="'vit' and no SegFormer"):
        open_segformer(str(tmp_path), 3)
    (tmp_path / "config.json").write_text((backbone / "config.json").read_text())
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ShiftlabError, match="cannot be read"):
        open_segformer(str(tmp_path), 3)


def test_a_segmenter_is_saved_whole(segmenter, tmp_path):
    x = torch.rand(2, 3, 16, 32, generator=generator()) * 2 - 1
    found = load_segmenter(segmenter.save(tmp_path / "one"))
    assert found.names == ("road", "sky", "car") and found.classes == CLASSES and torch.equal(found.numbers(x), segmenter.numbers(x))
    assert set(found.numbers(x).unique().tolist()) <= {0, 10, 13}
    assert segmenter.save(tmp_path / "one") and [path.name for path in tmp_path.iterdir()] == ["one"]
    with pytest.raises(ShiftlabError, match="no segmenter of this lab"):
        load_segmenter(tmp_path)


def test_a_picture_alone_is_read_as_in_a_batch(segmenter):
    x = torch.rand(3, 3, 16, 32, generator=generator()) * 2 - 1
    assert torch.equal(Segmenter(segmenter.network, CLASSES).places(x)[1:2], segmenter.places(x[1:2]))


def test_sets_with_other_classes_are_matched_by_name(tmp_path):
    found = labelled(tmp_path / "set")
    events, scenes = drained(mapped_scenes(found, found.items, ("sky", "tree", "road"), 8, tmp_path / "pixels"))
    assert events[-1].step == 12 and scenes.images.shape == (12, 3, 8, 16) and set(np.unique(scenes.masks)) == {0, 2, IGNORE}
    assert scenes.counts[:, 1].sum() == 0 and scenes.counts.sum() == (np.asarray(scenes.masks) != IGNORE).sum()
    again, same = drained(mapped_scenes(found, found.items, ("sky", "tree", "road"), 8, tmp_path / "pixels"))
    assert not again and np.array_equal(same.masks, scenes.masks)
    with pytest.raises(ShiftlabError, match="none of the source's classes"):
        drained(mapped_scenes(found, found.items, ("cat", "dog"), 8, tmp_path / "other"))
    named = replace(found, classes=mask_classes({**found.classes.classes, "cat": 30}, {**found.classes.palette, "cat": (1, 2, 3)}))
    with pytest.raises(ShiftlabError, match="none of the source's classes"):  # it has a name for them, and no pixel
        drained(mapped_scenes(named, found.items, ("cat", "dog"), 8, tmp_path / "other"))
    (tmp_path / "pixels-8-masks.npy").unlink()
    _, anew = drained(mapped_scenes(found, found.items, ("sky", "tree", "road"), 8, tmp_path / "pixels"))
    assert np.array_equal(anew.masks, scenes.masks)
    assert sorted(path.name for path in tmp_path.glob("*.npy")) == [f"pixels-8-{part}.npy" for part in ("counts", "images", "masks")]


def test_a_network_says_how_large_its_crops_must_be():
    check_side(open_segformer(SMALL, 3), 16)
    with pytest.raises(ShiftlabError, match="needs crops of 16 px or more, and 8 px are set"):
        check_side(open_segformer(SMALL, 3), 8)
    open_segformer(SMALL, 3)(torch.zeros(1, 3, 16, 16))


def test_presets_are_settings():
    paper = SegmentSettings(**PRESETS["paper"].segment)
    assert (paper.iterations, paper.learning_rate, paper.head_factor, paper.warm_up, paper.average) == (40_000, 6e-5, 10, 1500, 0.999)


def test_colours_over_an_image():
    x, numbers = torch.zeros(1, 3, 2, 2), torch.tensor([[[0, 13], [10, IGNORE]]], dtype=torch.uint8)
    painted = colours(numbers, CLASSES)
    assert torch.equal(laid_over(x, painted, 0.0), x) and torch.equal(laid_over(x, painted, 1.0), painted)
    assert painted[0, :, 0, 1].tolist() == pytest.approx([-1, -1, 142 / 127.5 - 1]) and painted[0, :, 1, 1].tolist() == [-1, -1, -1]
    assert legend(CLASSES)[1] == ("sky", "#4682b4") and legend_picture(cityscapes()).width > 200
    assert len(legend(mask_classes({"a": 0}, {"a": (1, 2, 3)}))) == 1
