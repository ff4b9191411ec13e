"""The texts that CLIP learns from, beside the world's own captions: prompts for every domain and attribute, in a user's other words.

Captions are templated, so the text tower would soon know them by heart and nothing else. It therefore also reads the same prompts with
other nouns, bare ("sketch"), inside templates, and with a meaningless word in between, which it has to learn to pass over.
"""

from __future__ import annotations

from functools import lru_cache
from random import Random

import torch
from torch import Tensor

from core.models.clip import fill_templates, tokenizer
from core.worlds.portraits import ATTRIBUTE_PROMPTS, ATTRIBUTES, DOMAIN_PROMPTS, DOMAINS, captions, sample

# A few of open_clip's ImageNet templates that name none of the world's domains; what the trained model averages a text direction over.
TEMPLATES = (
    "{}", "a good photo of a {}.", "a photo of the large {}.", "a cropped photo of the {}.", "a close-up photo of a {}.", "itap of a {}.",
)  # fmt: skip
NOUNS = ("person", "person", "man", "woman", "human being", "guy", "lady", "girl", "boy", "face", "portrait", "somebody", "model")
BARE = {
    "photo": ("photo", "photograph", "a photo", "real photo", "portrait photo"),
    "sketch": ("sketch", "pencil sketch", "drawing", "a pencil drawing", "graphite sketch"),
    "painting": ("painting", "oil painting", "a painting", "oil on canvas"),
    "night": ("night", "at night", "a photo at night", "nighttime", "night photo"),
    "cartoon": ("cartoon", "comic", "a cartoon", "cartoon style"),
}
FIRST_WHOLE_WORD = 512  # token ids below are single letters and bytes
DRAWS, CAPTIONED = 40, 100  # of texts, to see every word once: captions a domain in each draw
OTHER_PHRASES = {  # (negative, positive) phrases beside the world's own
    "smiling": (("a sad person", "a person who does not smile"), ("a happy person", "a laughing person", "a person with a smile")),
    "glasses": (("a person wearing no glasses",), ("a person wearing glasses", "a person in eyeglasses", "a person with spectacles")),
    "beard": (("a clean-shaven person", "a shaved person"), ("a bearded person", "a person with a full beard")),
    "hat": (("a bareheaded person",), ("a person wearing a hat", "a person in a hat")),
    "long_hair": (("a short-haired person",), ("a long-haired person", "a person wearing long hair")),
    "old": (("a youthful person",), ("an elderly person", "an aged person", "a very old person")),
}


def phrase_of(attribute: str, value: bool, rng: Random | None = None) -> str:
    """ "a smiling person": the world's own phrase, or with rng one of the others."""
    if rng is None:
        return ATTRIBUTE_PROMPTS[attribute][value].removeprefix("a photo of ")
    return rng.choice(OTHER_PHRASES[attribute][value])


def in_domain(domain: str, phrase: str) -> str:
    """The domain's prompt about another than "a person": "a pencil sketch of a smiling person"."""
    return DOMAIN_PROMPTS[domain].replace("a person", phrase)


def reworded(prompt: str, rng: Random) -> str:
    """The prompt as it is, with another noun, or within a template."""
    if rng.random() < 0.3:
        prompt = prompt.replace("person", rng.choice(NOUNS))
    if rng.random() < 0.3:
        prompt = fill_templates(prompt, [rng.choice(TEMPLATES)])[0]
    return prompt


def domain_prompts(rng: Random | None = None) -> list[str]:
    """One prompt a domain, in the order of DOMAINS; with rng in changing words."""
    if rng is None:
        return [DOMAIN_PROMPTS[domain] for domain in DOMAINS]
    return [rng.choice(BARE[domain]) if rng.random() < 0.15 else reworded(DOMAIN_PROMPTS[domain], rng) for domain in DOMAINS]


def attribute_prompts(domain: str, rng: Random | None = None) -> list[str]:
    """Two prompts an attribute, (negative, positive), in the order of ATTRIBUTES, about one domain; with rng in changing words."""
    if rng is None:
        return [in_domain(domain, phrase_of(attribute, value)) for attribute in ATTRIBUTES for value in (False, True)]
    prompts = []
    for attribute in ATTRIBUTES:
        words, bare = None if rng.random() < 0.6 else rng, rng.random() < 0.15
        for value in (False, True):
            phrase = phrase_of(attribute, value, words)
            prompts.append(reworded(phrase if bare else in_domain(domain, phrase), rng))
    return prompts


class Reader:
    """Texts → token ids `(B, context)`, remembered, with now and then a meaningless word put in."""

    def __init__(self, context_length: int) -> None:
        self.tokenizer = tokenizer(context_length)
        self.tokens = lru_cache(maxsize=200_000)(lambda text: self.tokenizer([text])[0])

    def __call__(self, texts: list[str], rng: Random | None = None, strange_words: float = 0.1) -> Tensor:
        """With rng, a share of `strange_words` of the texts gets a meaningless word."""
        tokens = torch.stack([self.tokens(text) for text in texts])
        for row in tokens if rng is not None else ():
            if rng.random() < strange_words:
                self._insert(row, rng)
        return tokens

    def _insert(self, row: Tensor, rng: Random) -> None:
        """Put a random word of the vocabulary somewhere between start and end, if there is room."""
        end = int(row.argmax())  # the end token is the vocabulary's last
        if end + 1 < len(row):
            place = rng.randint(1, end)
            row[place + 1 : end + 2] = row[place : end + 1].clone()
            row[place] = rng.randrange(FIRST_WHOLE_WORD, self.tokenizer.vocab_size - 2)


@lru_cache(maxsize=1)
def taught_tokens() -> frozenset[int]:
    """Every token of the texts that CLIP learns from, meaningless words left out: of many draws of captions and prompts."""
    rng, standard = Random(0), tokenizer(77)  # of whatever length: nothing is cut here
    encode = lru_cache(maxsize=None)(standard.encode)
    texts: set[str] = set()
    for draw in range(DRAWS):
        people = sample(CAPTIONED, draw)
        for domain in DOMAINS:
            texts.update(captions(people, domain, draw), attribute_prompts(domain, rng))
        texts.update(domain_prompts(rng))
    ends = standard.all_special_ids  # start and end of a text
    return frozenset(ends) | {token for text in texts for token in encode(text)}
