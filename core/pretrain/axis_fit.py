"""An axis of its own for an attribute that CLIP's image tower sees and its last layers lose: in closed form, without training.

Both towers of the embedded CLIP end with a linear projection. A ridge regression of the attribute on what each projection is given adds a
direction to both that no embedding uses, and takes away most of what lay along the attribute's old one. Such a reading is right on drawn
pictures and easily fooled (EXPERIMENTS.md, fourteenth part), so it is a beginning only; `clip_axis` teaches it.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.clip import Clip, fill_templates
from core.pretrain.dataset import batch_of, rendered
from core.pretrain.pairs import PORTRAITS, PORTRAITS_SEED
from core.pretrain.wording import OTHER_PHRASES, in_domain, phrase_of
from core.worlds import portraits as world
from core.worlds.captions import BEFORE, WITH

PICTURES = {"photo": PORTRAITS, "sketch": 1200, "painting": 1200, "night": 1200, "cartoon": 1200}  # read a domain
SHARES = {"photo": 5, "sketch": 1, "painting": 1, "night": 1, "cartoon": 1}  # what a domain counts: most prompts are about photographs
HALF_OF_TEXTS = 0.3  # of the axis, in lengths of an embedding
HALF_OF_IMAGES = 0.13  # less, as a reading of pictures has noise, which every other edit's gradient passes through
LEFT = 0.1  # share of the attribute's old direction that stays
RIDGE_OF_IMAGES, RIDGE_OF_TEXTS = 3e-4, 1e-5  # in variances of a feature
CAPTIONED, CAPTION_WEIGHT = 200, 0.2  # captions a domain; they are many, so each counts less than a prompt
DOMAIN_WEIGHT = 30.0  # of a domain's prompt without attributes: every edit to a domain goes by it, and there are few
TAKEN = 12  # main directions of the pictures' embeddings that the axis stays clear of


@dataclass(frozen=True)
class Readings:
    """What a tower without its projection says of samples, and what is asked of them.

    features: `(N, F)`; signs: `(N,)`, 1 with the attribute, −1 without, 0 where nothing is said; weights: `(N,)`.
    """

    features: Tensor
    signs: Tensor
    weights: Tensor


@dataclass(frozen=True)
class Axis:
    """unit: `(D,)`, the direction that only the attribute uses; step: `(D,)`, what a picture with it has and one without lacks."""

    unit: Tensor
    step: Tensor


def open_ended(model: nn.Module) -> nn.Module:
    """A copy of a CLIP whose two projections leave everything as it is."""
    opened = copy.deepcopy(model)
    pool = opened.visual.attnpool
    pool.c_proj = nn.Linear(pool.c_proj.in_features, pool.c_proj.in_features, bias=False)
    nn.init.eye_(pool.c_proj.weight)
    opened.text_projection = nn.Parameter(torch.eye(len(opened.text_projection)))
    return opened.eval().requires_grad_(False)


@torch.no_grad()
def pictures_read(clip: Clip, opened: nn.Module, attribute: str, cache: Path) -> Readings:
    """The features of portraits in every domain, drawn on first use."""
    features, signs, weights = [], [], []
    for domain, count in PICTURES.items():
        people = world.sample(count, PORTRAITS_SEED)
        drawn = rendered(people, domain, cache)
        features += [opened.encode_image(clip.preprocess(batch_of(drawn, part))) for part in torch.arange(count).split(128)]
        signs.append(2.0 * getattr(people, attribute).float() - 1.0)
        weights.append(torch.full((count,), SHARES[domain] / count))
    return Readings(torch.cat(features), torch.cat(signs), torch.cat(weights))


@torch.no_grad()
def texts_read(clip: Clip, opened: nn.Module, attribute: str) -> Readings:
    """The features of prompts about every attribute in all words, within every template, and of captions."""
    texts = [(text, sign, weight) for prompt, sign, weight in _prompts(attribute) for text in fill_templates(prompt, clip.templates)]
    people = world.sample(CAPTIONED, PORTRAITS_SEED)
    captions = [caption for seed, domain in enumerate(world.DOMAINS) for caption in world.captions(people, domain, seed)]
    texts += [(caption, said_of(attribute, caption), CAPTION_WEIGHT) for caption in captions]
    tokens = clip.tokenizer([text for text, _, _ in texts])
    features = torch.cat([opened.encode_text(part) for part in tokens.split(256)])
    signs, weights = (torch.tensor([text[place] for text in texts]) for place in (1, 2))
    return Readings(features, signs, weights)


def _prompts(attribute: str) -> list[tuple[str, float, float]]:
    """(prompt, sign, weight) of each domain alone, and of each attribute there."""
    prompts = [(in_domain(domain, "a person"), 0.0, DOMAIN_WEIGHT) for domain in world.DOMAINS]
    for name in world.ATTRIBUTES:
        for value, sign in ((False, -1.0), (True, 1.0)):
            phrases = (phrase_of(name, value), *OTHER_PHRASES[name][value])
            prompts += [(in_domain(domain, phrase), sign * (name == attribute), 1.0) for domain in world.DOMAINS for phrase in phrases]
    return prompts


def said_of(attribute: str, caption: str) -> float:
    """1 where a caption says that somebody has the attribute, −1 that not, 0 where it says nothing."""
    without, having = {**WITH, **BEFORE}[attribute]
    words = caption.replace(".", " ").split()
    found = [any(_stands_in(phrase.split(), words) for phrase in phrases) for phrases in (having, without)]
    return float(found[0] and not found[1]) - float(found[1])


def _stands_in(phrase: list[str], words: list[str]) -> bool:
    return any(words[k : k + len(phrase)] == phrase for k in range(len(words)))


def unused_direction(embeddings: Tensor, texts: Tensor) -> Tensor:
    """A unit direction `(D,)` in which neither the main directions of unit embeddings `(N, D)` nor those of texts `(M, D)` have a part."""
    quarter, centre = embeddings.shape[1] // 4, embeddings.mean(dim=0)
    main = torch.linalg.svd(embeddings - centre, full_matrices=False)[2][: min(TAKEN, quarter)]
    told = torch.linalg.svd(texts, full_matrices=False)[2][:quarter]
    taken = torch.linalg.qr(torch.cat([main, told, centre[None]]).T)[0]
    free = torch.randn(embeddings.shape[1], generator=torch.Generator().manual_seed(0)).to(embeddings)
    return F.normalize(free - taken @ (taken.T @ free), dim=0)


def ridge(read: Readings, wanted: Tensor, strength: float) -> Tensor:
    """Weights `(F, K)` with which the features, scaled to a mean square of one, come nearest to what is wanted, `(N, K)`."""
    scale = read.features.square().mean(dim=0).sqrt().clamp(min=torch.finfo(read.features.dtype).tiny)
    x, share = read.features / scale, (read.weights / read.weights.sum())[:, None]
    return torch.linalg.solve(x.T @ (share * x) + strength * torch.eye(x.shape[1]), x.T @ (share * wanted)) / scale[:, None]


@torch.no_grad()
def axis_of(model: nn.Module, pictures: Readings, told: Tensor) -> Axis:
    """The axis to be, for a CLIP that has none. told: unit embeddings `(M, D)` of prompts whose directions it stays clear of."""
    pool = model.visual.attnpool
    embeddings = F.normalize(pictures.features @ pool.c_proj.weight.T + pool.c_proj.bias, dim=1)
    unit = unused_direction(embeddings, told)
    return Axis(unit, _step(HALF_OF_IMAGES * unit, embeddings, pictures))


@torch.no_grad()
def give_axis(model: nn.Module, axis: Axis, pictures: Readings, texts: Readings) -> None:
    """Refits both projections."""
    pool = model.visual.attnpool
    length = (pictures.features @ pool.c_proj.weight.T + pool.c_proj.bias).norm(dim=1)
    with_constant = torch.cat([pictures.features, torch.ones(len(length), 1)], dim=1) / length[:, None]  # lengths vary, signs do not
    weights = ridge(Readings(with_constant, pictures.signs, pictures.weights), pictures.signs[:, None], RIDGE_OF_IMAGES)[:, 0]
    pool.c_proj.weight += torch.outer(axis.step, weights[:-1])
    pool.c_proj.bias += axis.step * weights[-1]
    said = texts.features @ model.text_projection
    step = _step(HALF_OF_TEXTS * axis.unit, F.normalize(said, dim=1), texts)
    model.text_projection += ridge(texts, said.norm(dim=1, keepdim=True) * texts.signs[:, None] * step, RIDGE_OF_TEXTS)


def _step(half: Tensor, embeddings: Tensor, read: Readings) -> Tensor:
    """Half the axis, `(D,)`, less half of what distinguished those with the attribute from those without, but for the share that stays."""
    of = [(read.weights * (read.signs == sign))[:, None] for sign in (1.0, -1.0)]
    having, without = ((part * embeddings).sum(dim=0) / part.sum() for part in of)
    return half - (1.0 - LEFT) / 2 * (having - without)
