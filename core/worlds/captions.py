"""What one would write under a portrait: varied wording that names the domain and the attributes."""

from __future__ import annotations

import numpy as np

from core.worlds.people import ATTRIBUTES, Portraits

DOMAIN_PROMPTS = {
    "photo": "a photo of a person",
    "sketch": "a pencil sketch of a person",
    "painting": "an oil painting of a person",
    "night": "a photo of a person at night",
    "cartoon": "a cartoon of a person",
}
ATTRIBUTE_PROMPTS = {  # (negative, positive)
    "smiling": ("a photo of a serious person", "a photo of a smiling person"),
    "glasses": ("a photo of a person without glasses", "a photo of a person with glasses"),
    "beard": ("a photo of a person without a beard", "a photo of a person with a beard"),
    "hat": ("a photo of a person without a hat", "a photo of a person with a hat"),
    "long_hair": ("a photo of a person with short hair", "a photo of a person with long hair"),
    "old": ("a photo of a young person", "a photo of an old person"),
}

OPENINGS = {  # `{}` takes "a smiling old person"
    "photo": ("a photo of {}", "a photograph of {}", "a studio photo of {}", "a portrait photo of {}", "a picture taken of {} by day"),
    "sketch": (
        "a pencil sketch of {}", "a pencil drawing of {}", "a sketch of {}", "a graphite drawing of {}",
        "a hand-drawn sketch of {} on paper",
    ),
    "painting": (
        "an oil painting of {}", "a painting of {}", "an oil portrait of {}", "a classical painting of {}", "{} painted in oil on canvas",
    ),
    "night": (
        "a photo of {} at night", "a night photo of {}", "{} at night", "a dark photo of {} on a street at night",
        "a nighttime portrait of {}",
    ),
    "cartoon": (
        "a cartoon of {}", "a cartoon drawing of {}", "a comic of {}", "a flat cartoon portrait of {}", "{} in the style of a cartoon",
    ),
}  # fmt: skip
NOUNS = ("person", "person", "person", "face", "human")
WITH = {
    "glasses": (("without glasses", "wearing no glasses"), ("with glasses", "wearing glasses")),
    "beard": (("without a beard", "clean-shaven"), ("with a beard", "with a full beard")),
    "hat": (("without a hat", "bareheaded"), ("with a hat", "wearing a hat")),
    "long_hair": (("with short hair",), ("with long hair",)),
}
BEFORE = {
    "smiling": (("serious", "unsmiling", "not smiling"), ("smiling", "happy", "laughing")),
    "old": (("young",), ("old", "elderly", "aged")),
}


def captions(people: Portraits, domain: str, seed: int) -> list[str]:
    """One caption an item: the domain always, each attribute with probability one half, in varied words and order."""
    rng = np.random.default_rng([seed, 5])
    return [_caption(domain, [bool(v) for v in row], rng) for row in people.attributes]


def _caption(domain: str, values: list[bool], rng: np.random.Generator) -> str:
    facts = {name: value for name, value in zip(ATTRIBUTES, values, strict=True) if rng.random() < 0.5}
    before = [_pick(BEFORE[name][value], rng) for name, value in facts.items() if name in BEFORE]
    after = [_pick(WITH[name][value], rng) for name, value in facts.items() if name in WITH]
    rng.shuffle(before)
    rng.shuffle(after)
    phrase = " ".join([*before, _pick(NOUNS, rng), *([" and ".join(after)] if after else [])])
    article = "an" if phrase[0] in "aeiou" and not phrase.startswith("un") else "a"
    article = "an" if phrase.startswith("unsmiling") else article
    return _pick(OPENINGS[domain], rng).format(f"{article} {phrase}")


def _pick(words: tuple[str, ...], rng: np.random.Generator) -> str:
    return words[int(rng.integers(len(words)))]
