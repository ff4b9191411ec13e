"""What the text-to-image model reads: captions that name what can be seen in a crop, and the small text encoder that learns with it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from transformers import CLIPTextConfig, CLIPTextModel

from core.models.clip_tokenizer import VOCABULARY
from core.worlds.streets import CLASSES

WIDTH, LAYERS, HEADS, LENGTH = 96, 2, 4, 32  # of a token's embedding; of the encoder; of its attention; of a prompt in tokens
SEEN = {  # thing: the least pixels of 64 × 64 by which one would know it
    "car": 40, "bus": 60, "person": 14, "rider": 16, "traffic light": 7, "traffic sign": 7,
}  # fmt: skip
PHOTOS = ("a photo of {}", "a photo of {}", "a photo of {}", "a photograph of {}", "a picture of {}")
PLACES = ("a street", "a street", "a city street", "a road", "an urban scene", "an urban scene")
WEATHERS = {  # how it is said, and how often it is said at all
    "day": (0.4, ("on a clear day", "by day", "on a sunny day")),
    "rain": (0.9, ("in the rain", "on a rainy day", "in heavy rain")),
    "snow": (0.9, ("in snow", "on a snowy day", "in the snow")),
}
ONE_THING, NO_THING = 0.4, 0.2  # shares of captions "a photo of a car" and "a photo of a street"; the others name a street with things


def build_text_encoder() -> CLIPTextModel:
    """5.0 M parameters, of which 4.7 M are the embeddings of CLIP's tokens."""
    config = CLIPTextConfig(
        vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=4 * WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        max_position_embeddings=LENGTH, bos_token_id=VOCABULARY - 2, eos_token_id=VOCABULARY - 1,
    )  # fmt: skip
    return CLIPTextModel(config)


def things_in(labels: np.ndarray) -> list[str]:
    """The things that can be made out in a crop of train ids `(64, 64)`."""
    counts = np.bincount(labels.ravel(), minlength=256)
    return [name for name, least in SEEN.items() if counts[CLASSES[name]] >= least]


def rarity(found: list[list[str]]) -> dict[str, float]:
    """thing → 1 over its share of the crops in which it was found."""
    return {name: len(found) / max(1, sum(name in things for things in found)) for name in SEEN}


def street_caption(things: list[str], weather: str, rare: Mapping[str, float], rng: np.random.Generator) -> str:
    """One caption of a crop. Where it names a single thing, the rarer one is the likelier; nothing is named that is not there."""
    said, words = WEATHERS[weather]
    ending = f" {_pick(words, rng)}" if rng.random() < said else ""
    kind = rng.random()
    if not things or kind < NO_THING:
        phrase = _pick(PLACES, rng)
    elif kind < NO_THING + ONE_THING:
        weights = np.array([rare[name] ** 0.5 for name in things])
        phrase = f"a {rng.choice(things, p=weights / weights.sum())}"
    else:
        chosen = rng.permutation(things)[: 1 + int(rng.integers(3))]
        phrase = f"{_pick(PLACES, rng)} with {' and '.join(f'a {name}' for name in chosen)}"
    return _pick(PHOTOS, rng).format(phrase) + ending


def _pick(words: tuple[str, ...], rng: np.random.Generator) -> str:
    return words[int(rng.integers(len(words)))]
