"""A segmenter: a SegFormer with the classes that it tells apart, and what is saved of it."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import SegformerForSemanticSegmentation

from core.data.mask_classes import CLASSES_FILE, MaskClasses, read_classes
from core.data.text_files import write_text
from core.models.segformer import open_segformer, save_segformer
from core.types import ShiftlabError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, on which MiT was trained, in [0, 1]
AT_ONCE = 16  # pictures looked at together


class Segmenter:
    """A network and its classes, in the order of their numbers. dtype: of autocast; float32 means none."""

    def __init__(
        self, network: SegformerForSemanticSegmentation, classes: MaskClasses, device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:  # fmt: skip
        self.network = network.to(device, memory_format=torch.channels_last)
        self.classes, self.device, self.dtype = classes, torch.device(device), dtype
        self.names = class_names(classes)
        self._mean, self._std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (MEAN, STD))

    def logits(self, x: Tensor) -> Tensor:
        """x `(B, 3, H, W)` in [-1, 1] → `(B, classes, H, W)` float32, at the pictures' own size."""
        x = (((x.to(self.device) + 1) / 2 - self._mean) / self._std).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32):
            coarse = self.network(x).logits
        return F.interpolate(coarse.float(), size=x.shape[-2:], mode="bilinear", align_corners=False)

    @torch.no_grad()
    def places(self, x: Tensor) -> Tensor:
        """The place of the likeliest class of each pixel `(B, H, W)` uint8, on the CPU."""
        self.network.eval()
        return torch.cat([self.logits(part).argmax(dim=1).to(torch.uint8).cpu() for part in x.split(AT_ONCE)])

    def numbers(self, x: Tensor) -> Tensor:
        """The same as class numbers."""
        return torch.tensor([self.classes.classes[name] for name in self.names], dtype=torch.uint8)[self.places(x).long()]

    def save(self, folder: Path) -> Path:
        """Writes a folder as the hub has them, with classes.json; it appears whole."""
        unfinished = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        self.network.config.id2label = dict(enumerate(self.names))
        self.network.config.label2id = {name: place for place, name in enumerate(self.names)}
        save_segformer(self.network, unfinished)
        write_text(unfinished / CLASSES_FILE, json.dumps(self.classes.facts(), indent=1) + "\n")
        shutil.rmtree(folder, ignore_errors=True)  # the same one, finished a second time
        os.replace(unfinished, folder)
        return folder


def class_names(classes: MaskClasses) -> tuple[str, ...]:
    """Class names by number: place k of a segmenter's output is name k."""
    return tuple(sorted(classes.classes, key=classes.classes.__getitem__))


def new_segmenter(where: str, classes: MaskClasses, seed: int, device: torch.device | str, dtype: torch.dtype) -> Segmenter:
    """A segmenter before its training. where: see `open_segformer`."""
    return Segmenter(open_segformer(where, len(classes.classes), seed), classes, device, dtype)


def load_segmenter(folder: Path, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Segmenter:
    """A segmenter as `save` wrote it. Raises ShiftlabError for any other folder."""
    path = Path(folder) / CLASSES_FILE
    if not path.is_file():
        raise ShiftlabError(f"{folder} holds no segmenter of this lab: it has no {CLASSES_FILE}. Train one first.")
    classes = read_classes(path.read_bytes())
    found = Segmenter(open_segformer(str(folder), len(classes.classes)), classes, device, dtype)
    found.network.eval()
    return found


def places_of(names: Sequence[str], classes: MaskClasses, ignore: int) -> Tensor:
    """Table `(256,)` uint8 from another set's class numbers to the places of `names`; classes that `names` lacks are `ignore`."""
    table = torch.full((256,), ignore, dtype=torch.uint8)
    for name, number in classes.classes.items():
        if name in names:
            table[number] = list(names).index(name)
    return table
