"""From what stands in the Tune tab's form to a job: which images, which samples, which name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL import Image
from torch import Tensor

from core.data.images import to_pils
from core.jobs.progress import duration
from core.methods.datum import target_image
from core.methods.datum_settings import DatumTune
from core.methods.directions import follows_images
from core.models.align import as_seen_by
from core.types import Settings, ShiftlabError
from core.worlds.portraits import DOMAINS, render, sample
from ui.methods import about
from ui.prompts import check_prompts, strange_words_html
from ui.state import LabImage
from ui.tune_targets import EXAMPLES, SET, sources_of, target_pictures
from ui.tune_watch import size

PORTRAITS, SOURCE = "portraits", "source"
TRAINING_SEED, SAMPLE_SEED = 41_000, 42_000  # people that are neither in the base's training set nor among those that are measured
TRAINING_IMAGES = 64  # of a method whose settings do not say; and so many drawn ones show a target at least
SAMPLES = 4
NAME_LENGTH = 60


@dataclass(frozen=True)
class Pictures:
    """What a visitor chose. learn: PORTRAITS, SOURCE, or another domain of the embedded portraits; aim: SET or a key of
    `tune_targets.EXAMPLES`; source, target: the Data tab's sets.

    tried: pictures that the Edit tab handed over; they stand first among the samples.
    """

    learn: str = PORTRAITS
    aim: str = SET
    source: tuple[LabImage, ...] = ()
    target: tuple[LabImage, ...] = ()
    tried: tuple[LabImage, ...] = ()

    @property
    def domain(self) -> str:
        """Of the embedded portraits to learn from: photographs, or pictures for a base that was tuned to another domain."""
        return self.learn if self.learn in DOMAINS else DOMAINS[0]

    def of_source(self, count: int, side: int) -> list[Image.Image]:
        """The first `count` pictures to learn from. Raises ShiftlabError where there are none."""
        if self.learn != SOURCE:
            return to_pils(render(sample(count, TRAINING_SEED, **sources_of(self.aim)), self.domain, side))
        if not self.source:
            raise ShiftlabError("The source set is empty. Add images on the Data tab, or learn from the embedded portraits.")
        return [entry.image for entry in self.source[:count]]

    def samples(self, side: int) -> list[Image.Image]:
        """The few pictures that are edited again and again: those handed over, then the first of the source set, or unseen portraits."""
        first = [entry.image for entry in self.tried[:SAMPLES]]
        own = [entry.image for entry in self.source] if self.learn == SOURCE else []
        return [*first, *(own or to_pils(render(sample(SAMPLES, SAMPLE_SEED, **sources_of(self.aim)), self.domain, side)))][:SAMPLES]

    def count(self, method: str, settings: Settings) -> int:
        """How many there are to learn from."""
        wanted = getattr(settings, "images", TRAINING_IMAGES)
        if about(method).learns == "target":
            return min(wanted, EXAMPLES[self.aim].most if self.aim in EXAMPLES else len(self.target))
        return min(wanted, len(self.source)) if self.learn == SOURCE else wanted


def needs_target(method: str, settings: Settings) -> bool:
    """Whether a training looks at pictures of its target."""
    return about(method).learns != "source" or follows_images(settings)


def submit(lab: Any, method: str, settings: Settings, name: str, seed: int, pictures: Pictures) -> str:
    """Checks everything that a person can get wrong and puts the job into the queue; returns its id. Raises ShiftlabError."""
    if hasattr(settings, "target_prompt") and getattr(settings, "image_weight", 0.0) < 1:
        check_prompts(settings.reference_prompt, settings.target_prompt, lab.clip)
    name, side = name.strip()[:NAME_LENGTH] or default_name(settings, pictures.aim), image_size(lab)
    if isinstance(settings, DatumTune):
        return lab.submit(method, settings, _one_target(lab, settings, pictures), name, seed=seed)
    count = getattr(settings, "images", TRAINING_IMAGES)
    shown = max(count, TRAINING_IMAGES)
    targets = target_pictures(pictures.aim, pictures.target, shown, side) if needs_target(method, settings) else []
    images = targets[:count] if about(method).learns == "target" else pictures.of_source(count, side)
    return lab.submit(
        method,
        settings,
        as_seen_by(lab.base, images),
        name,
        seed=seed,
        target_images=as_seen_by(lab.base, targets) if targets else None,
        samples=as_seen_by(lab.base, pictures.samples(side)) if about(method).learns != "target" else None,  # which draws free ones
    )


def _one_target(lab: Any, settings: DatumTune, pictures: Pictures) -> Tensor:
    """What DATUM learns, `(1, 3, H, W)` in [-1, 1]: the first target picture, whole, which has nothing to do with the base's size."""
    model = lab.text_to_image()
    return target_image(target_pictures(pictures.aim, pictures.target, 1, model.image_size)[0], settings, model)


def image_size(lab: Any) -> int:
    """Side in pixels of the loaded base's pictures."""
    if lab.base is None:
        raise ShiftlabError("No base is loaded, so nothing can be fine-tuned. The line at the top says why.")
    return lab.base.image_size


def default_name(settings: Settings, aim: str = SET) -> str:
    """The target prompt without its article, or what the target pictures show."""
    words = getattr(settings, "target_prompt", "").split()
    words = words[1:] if words and words[0].lower() in ("a", "an", "the") else words
    shown = EXAMPLES[aim].title if aim in EXAMPLES else "target images"
    return " ".join(words)[:NAME_LENGTH] or shown


def estimate_html(lab: Any, method: str, settings: Settings, pictures: Pictures) -> str:
    """Minutes, memory and what waits before it, and what CLIP will not read."""
    images = pictures.count(method, settings)
    if not images:
        return f'<p class="help">The {"target" if about(method).learns == "target" else "source"} set is empty.</p>'
    guess = lab.estimate(method, settings, images)
    waiting = sum(job.live for job in lab.list())
    queue = "" if not waiting else f", after {'the run' if waiting == 1 else f'the {waiting} runs'} before it"
    line = f"About <b>{duration(guess.seconds)}</b> and <b>{size(guess.bytes)}</b>{queue}."
    return f'<p class="estimate" title="{guess.note}">{line}</p>' + strange_words_html(lab.clip, getattr(settings, "target_prompt", ""))
