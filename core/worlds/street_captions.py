"""What one would write under a street: varied wording that names the domain and some of what can be seen."""

from __future__ import annotations

import numpy as np

DOMAIN_PROMPTS = {
    "day": "a photo of a street on a clear day",
    "night": "a photo of a street at night",
    "fog": "a photo of a street in fog",
    "snow": "a photo of a street in snow",
    "rain": "a photo of a street in the rain",
}
OPENINGS = {  # `{}` takes "a street", "a street with two cars and a bus"
    "day": (
        "a photo of {} on a clear day", "a daytime photo of {}", "a photo of {} on a sunny day", "a photo of {} by day",
        "{} in bright daylight",
    ),
    "night": ("a photo of {} at night", "a night photo of {}", "{} at night", "a dark photo of {} at night", "a nighttime photo of {}"),
    "fog": ("a photo of {} in fog", "a photo of {} on a foggy day", "a foggy photo of {}", "{} in thick fog", "{} on a foggy morning"),
    "snow": (
        "a photo of {} in snow", "a photo of {} on a snowy day", "a snowy photo of {}", "{} while snow is falling",
        "a winter photo of {} covered in snow",
    ),
    "rain": ("a photo of {} in the rain", "a photo of {} on a rainy day", "a rainy photo of {}", "{} in heavy rain", "{} while it rains"),
}  # fmt: skip
STREETS = ("a street", "a street", "a city street", "a road in a town", "an urban scene", "an urban street")
NUMBERS = ("no", "a", "two", "three", "four", "five")
WORDS = {
    "car": (("car", "cars"),), "bus": (("bus", "buses"),), "person": (("person", "people"), ("pedestrian", "pedestrians")),
    "rider": (("rider on a bicycle", "riders on bicycles"), ("cyclist", "cyclists"), ("rider", "riders")),
    "traffic light": (("traffic light", "traffic lights"),), "traffic sign": (("traffic sign", "traffic signs"),
    ("road sign", "road signs")),
}  # fmt: skip
AROUND = {  # class: (least share of the pixels, wordings)
    "vegetation": (0.06, ("trees", "trees along the road")),
    "building": (0.15, ("buildings", "houses")),
    "sidewalk": (0.10, ("a sidewalk", "sidewalks")),
}
RARE = ("bus", "rider", "traffic light")


def captions_of(shares: list[dict[str, float]], counts: list[dict[str, int]], domain: str, seed: int) -> list[str]:
    """One caption a scene from its shares of pixels and its counts of things. The wording of the first k does not depend on n."""
    pairs = enumerate(zip(shares, counts, strict=True))
    return [_caption(share, count, domain, np.random.default_rng([seed, 13, k])) for k, (share, count) in pairs]


def _caption(share: dict[str, float], count: dict[str, int], domain: str, rng: np.random.Generator) -> str:
    things = [_several(name, number, rng) for name, number in count.items() if number and rng.random() < (0.85 if name in RARE else 0.6)]
    around = [_pick(words, rng) for name, (least, words) in AROUND.items() if share.get(name, 0) > least and rng.random() < 0.25]
    rng.shuffle(things)
    words = (things + around)[:3]
    street = _pick(STREETS, rng)
    phrase = f"{street} with {_listed(words)}" if words else street
    return _pick(OPENINGS[domain], rng).format(phrase)


def _several(name: str, number: int, rng: np.random.Generator) -> str:
    one, many = WORDS[name][int(rng.integers(len(WORDS[name])))]
    if number == 1:
        return f"a {one}"
    if number < len(NUMBERS):
        return f"{NUMBERS[number] if rng.random() < 0.7 else 'several' if number > 2 else 'some'} {many}"
    return f"many {many}"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _pick(words: tuple[str, ...], rng: np.random.Generator) -> str:
    return words[int(rng.integers(len(words)))]
