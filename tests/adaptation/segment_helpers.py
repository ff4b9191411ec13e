"""Small segmentation sets whose classes can be seen, and a SegFormer of a few thousand parameters in a folder as the hub has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import SegformerConfig, SegformerForImageClassification

from core.adaptation.segment_settings import SegmentSettings
from core.data.mask_classes import MaskClasses, mask_classes
from core.data.segmented import SegmentedSet, read_segmented, read_unlabelled
from core.data.segmented_write import Scene, write_segmented

CLASSES = mask_classes({"road": 0, "car": 13, "sky": 10}, {"road": (128, 64, 128), "car": (0, 0, 142), "sky": (70, 130, 180)})
SIZE = (32, 16)  # width and height
QUICK = {
    "height": 16, "crop": 16, "iterations": 6, "adapt_iterations": 4, "seeds": 1, "measure_every": 2, "batch_size": 2, "warm_up": 1,
    "learning_rate": 3e-3, "adapt_rate": 1e-3,
}  # fmt: skip


def write_backbone(folder: Path) -> Path:
    """A bare MiT with a classifier of ten classes, random, and the same whatever ran before."""
    config = SegformerConfig(
        num_encoder_blocks=2, depths=[1, 1], hidden_sizes=[8, 8], num_attention_heads=[1, 1], sr_ratios=[2, 1], patch_sizes=[3, 3],
        strides=[2, 2], mlp_ratios=[2, 2], decoder_hidden_size=8, num_labels=10,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        SegformerForImageClassification(config).save_pretrained(folder)
    return folder


def quick(backbone: Path, **more: object) -> SegmentSettings:
    return SegmentSettings(**{**QUICK, "model": str(backbone), **more})


def scenes(count: int, seed: int = 0, shade: float = 1.0, split: str = "train") -> list[Scene]:
    """Sky above road, and a car somewhere; shade darkens the pictures."""
    rng = np.random.default_rng(seed)
    made = []
    for k in range(count):
        mask = np.full((SIZE[1], SIZE[0]), 10, np.uint8)
        mask[int(rng.integers(6, 10)) :] = 0
        left, top = int(rng.integers(0, 24)), int(rng.integers(6, 10))
        mask[top : top + 5, left : left + 8] = 13
        colours = np.zeros((256, 3))
        colours[[0, 10, 13]] = [[110, 110, 110], [120, 180, 250], [220, 40, 40]]
        pixels = (colours[mask] * shade + rng.normal(0, 8, (*mask.shape, 3))).clip(0, 255).astype(np.uint8)
        made.append(Scene(f"{split}{k}", Image.fromarray(pixels), mask, split))
    return made


def labelled(folder: Path, shade: float = 1.0, seed: int = 0, classes: MaskClasses = CLASSES) -> SegmentedSet:
    """Eight scenes to train on and four to test on."""
    list(write_segmented(folder, [*scenes(8, seed, shade), *scenes(4, seed + 1, shade, "test")], classes))
    return read_segmented(folder)


def unlabelled(folder: Path, shade: float = 1.0, seed: int = 9) -> SegmentedSet:
    """Six square pictures of darker scenes."""
    folder.mkdir(parents=True)
    for scene in scenes(6, seed, shade):
        scene.image.crop((8, 0, 24, 16)).save(folder / f"{scene.name}.png")
    return read_unlabelled(folder)
