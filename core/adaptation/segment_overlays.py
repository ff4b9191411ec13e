"""Predictions to look at: over their images, beside them in plain colours, and the legend."""

from __future__ import annotations

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from core.adaptation.segmenter import Segmenter
from core.data.mask_classes import IGNORE, MaskClasses

OPACITY = 0.6
SWATCH, LINE = 14, 22  # pixels of the legend


def overlays(found: Segmenter, x: Tensor, opacity: float = OPACITY) -> Tensor:
    """x `(B, 3, H, W)` in [-1, 1] with the predicted classes' colours laid over it, the same shape and range."""
    return laid_over(x, colours(found.numbers(x), found.classes), opacity)


def laid_over(x: Tensor, colour: Tensor, opacity: float = OPACITY) -> Tensor:
    """Images with colours over them, both `(B, 3, H, W)` in [-1, 1]. opacity 0: the image alone; 1: the colours alone."""
    return x.cpu().lerp(colour, opacity)


def colours(numbers: Tensor, classes: MaskClasses) -> Tensor:
    """Class numbers `(B, H, W)` as colours `(B, 3, H, W)` in [-1, 1]; what is no class is black."""
    table = torch.zeros(IGNORE + 1, 3)
    for name, number in classes.classes.items():
        table[number] = torch.tensor(classes.palette[name], dtype=torch.float32)
    return table[numbers.long()].permute(0, 3, 1, 2) / 127.5 - 1


def legend(classes: MaskClasses) -> list[tuple[str, str]]:
    """(class name, colour as #rrggbb), by class number."""
    return [(name, "#{:02x}{:02x}{:02x}".format(*classes.palette[name])) for name in sorted(classes.classes, key=classes.classes.get)]


def legend_picture(classes: MaskClasses, columns: int = 4) -> Image.Image:
    """The legend as a picture, dark on white."""
    font, rows = ImageFont.load_default(13), legend(classes)
    wide = max(round(font.getlength(name)) for name, _ in rows) + SWATCH + 24
    sheet = Image.new("RGB", (wide * min(columns, len(rows)), LINE * -(-len(rows) // columns)), "white")
    draw = ImageDraw.Draw(sheet)
    for place, (name, colour) in enumerate(rows):
        left, top = wide * (place % columns), LINE * (place // columns)
        draw.rectangle((left, top + 4, left + SWATCH, top + 4 + SWATCH), fill=colour)
        draw.text((left + SWATCH + 6, top + 3), name, fill="#222222", font=font)
    return sheet
