"""From what stands in the Tune tab's form to a job: which images, which samples, which name."""

from __future__ import annotations

from typing import Any

from PIL import Image

from core.data.images import to_pils
from core.models.align import as_seen_by
from core.types import Settings, ShiftlabError
from core.worlds.portraits import render, sample
from ui.prompts import check_prompts
from ui.state import LabImage
from ui.tune_watch import duration, size

PORTRAITS, SOURCE = "portraits", "source"
TRAINING_SEED, SAMPLE_SEED = 41_000, 42_000  # people that are neither in the base's training set nor among those that are measured
SAMPLES = 4
NAME_LENGTH = 60


def submit(
    lab: Any, method: str, settings: Settings, name: str, seed: int, which: str, source: list[LabImage], target: list[LabImage],
    tried: tuple[LabImage, ...] = (),
) -> str:  # fmt: skip
    """Checks everything that a person can get wrong and puts the job into the queue; returns its id. Raises ShiftlabError.

    tried: pictures that the Edit tab handed over; they stand first among the samples.
    """
    share = getattr(settings, "image_weight", 0.0)
    if share < 1:
        check_prompts(settings.reference_prompt, settings.target_prompt)
    if share > 0 and not target:
        raise ShiftlabError("The target set is empty. Add target images on the Data tab, or set their weight to 0.")
    side = image_size(lab)
    return lab.submit(
        method,
        settings,
        as_seen_by(lab.base, training_pictures(which, settings.images, source, side)),
        name.strip()[:NAME_LENGTH] or default_name(settings),
        seed=seed,
        target_images=as_seen_by(lab.base, [entry.image for entry in target]) if share > 0 else None,
        samples=as_seen_by(lab.base, sample_pictures(which, source, tried, side)),
    )


def image_size(lab: Any) -> int:
    """Side in pixels of the loaded base's pictures."""
    if lab.base is None:
        raise ShiftlabError("No base is loaded, so nothing can be fine-tuned. The line at the top says why.")
    return lab.base.image_size


def training_pictures(which: str, count: int, source: list[LabImage], side: int) -> list[Image.Image]:
    """The first `count` pictures of the chosen kind."""
    if which == PORTRAITS:
        return to_pils(render(sample(count, TRAINING_SEED), "photo", side))
    if not source:
        raise ShiftlabError("The source set is empty. Add images on the Data tab, or learn from the embedded portraits.")
    return [entry.image for entry in source[:count]]


def sample_pictures(which: str, source: list[LabImage], tried: tuple[LabImage, ...], side: int) -> list[Image.Image]:
    """The few pictures that are edited again and again: those handed over, then unseen portraits, or the first of the source set."""
    first = [entry.image for entry in tried[:SAMPLES]]
    own = [entry.image for entry in source] if which == SOURCE else []
    return [*first, *(own or to_pils(render(sample(SAMPLES, SAMPLE_SEED), "photo", side)))][:SAMPLES]


def default_name(settings: Settings) -> str:
    """The target prompt without its article."""
    words = settings.target_prompt.split()
    words = words[1:] if words and words[0].lower() in ("a", "an", "the") else words
    return " ".join(words)[:NAME_LENGTH] or "target images"


def estimate_html(lab: Any, method: str, settings: Settings, which: str, source: list[LabImage]) -> str:
    """Minutes, memory and what waits before it."""
    images = min(settings.images, len(source)) if which == SOURCE else settings.images
    if not images:
        return '<p class="help">The source set is empty.</p>'
    guess = lab.estimate(method, settings, images)
    waiting = sum(job.live for job in lab.list())
    queue = "" if not waiting else f", after {'the run' if waiting == 1 else f'the {waiting} runs'} before it"
    return f'<p class="estimate" title="{guess.note}">About <b>{duration(guess.seconds)}</b> and <b>{size(guess.bytes)}</b>{queue}.</p>'
