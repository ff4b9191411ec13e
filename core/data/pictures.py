"""Pictures made of pictures, for looking at: the difference of two, several side by side, a small one enlarged smoothly."""

from __future__ import annotations

from PIL import Image, ImageChops, ImageOps

DIFFERENCE_GAIN = 4  # an edit changes most pixels by less than a quarter of the range


def difference(before: Image.Image, after: Image.Image, gain: float = DIFFERENCE_GAIN) -> Image.Image:
    """|before − after| in grey, times `gain`, cut at white: black where nothing changed. `after` is brought to the size of `before`."""
    after = after if after.size == before.size else after.resize(before.size, Image.Resampling.BICUBIC)
    grey = ImageChops.difference(before.convert("RGB"), after.convert("RGB")).convert("L")
    return grey.point(lambda value: min(255, round(value * gain))).convert("RGB")


def side_by_side(images: list[Image.Image], gap: int = 8, ground: str = "white") -> Image.Image:
    """The pictures in one row, each at the height of the tallest, `gap` pixels apart."""
    height = max(image.height for image in images)
    row = [image.convert("RGB").resize((round(image.width * height / image.height), height), Image.Resampling.BICUBIC) for image in images]
    sheet = Image.new("RGB", (sum(image.width for image in row) + gap * (len(row) - 1), height), ground)
    left = 0
    for image in row:
        sheet.paste(image, (left, 0))
        left += image.width + gap
    return sheet


def enlarge(image: Image.Image, side: int = 512) -> Image.Image:
    """The picture with its longer side at least `side` pixels, interpolated smoothly; larger ones stay as they are."""
    if max(image.size) >= side:
        return image
    scale = side / max(image.size)
    return image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.Resampling.BICUBIC)


def fit_within(image: Image.Image, side: int) -> Image.Image:
    """The picture with its longer side at most `side` pixels."""
    return ImageOps.contain(image, (side, side), Image.Resampling.LANCZOS) if max(image.size) > side else image
