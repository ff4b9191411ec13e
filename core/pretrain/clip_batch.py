"""What one step of CLIP's training sees: groups of four pictures of one portrait, and the texts about them."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import torch
import torch.nn.functional as F
from torch import Tensor

from core.pretrain.attempts import Attempts
from core.pretrain.augment import degrade, half_way, move
from core.pretrain.dataset import batch_of
from core.pretrain.pairs import PairedSet
from core.pretrain.wording import Reader, attribute_prompts, domain_prompts
from core.worlds.portraits import ATTRIBUTES, DOMAINS, captions

PHOTO_SHARE = 0.5  # of the groups that start from a photo, as nearly all edits do
ATTEMPT_SHARE = 0.3  # of the groups that learn from what an edit made, in place of a half-way picture
CLEAN_SHARE = 0.3  # of the groups that suffer nothing but a move: a smile is a few pixels, and the first thing that noise and blur take


@dataclass
class Batch:
    """G groups. Images `(4G, 3, 64, 64)`: first all plain ones in a first domain, then the same portraits in a second domain, then in the
    first domain with one attribute flipped, then half-way between the first two, or an edit's attempt to go from the first to the second.

    first, second: `(G,)` domain indices. share: `(G,)` of the second domain in the half-way picture. attributes: `(3G, 6)` of all but the
    half-way pictures. which: `(G,)` the flipped attribute; flipped_to `(G,)` bool its value after.
    captions: token ids `(2G, L)` of first and second pictures; same_caption `(2G, 2G)` bool. prompts: token ids `(5 + 5·12, L)`.
    """

    images: Tensor
    first: Tensor
    second: Tensor
    share: Tensor
    attributes: Tensor
    which: Tensor
    flipped_to: Tensor
    captions: Tensor
    same_caption: Tensor
    prompts: Tensor

    def __len__(self) -> int:
        return len(self.first)

    def domains_of_pictures(self) -> Tensor:
        """`(3G,)` domain indices of first, second and flipped pictures."""
        return torch.cat([self.first, self.second, self.first])

    def domain_targets(self) -> Tensor:
        """`(4G, 5)` how much of each domain is in each picture; rows sum to one."""
        hard = F.one_hot(self.domains_of_pictures(), len(DOMAINS)).float()
        first, second = hard[: len(self)], hard[len(self) : 2 * len(self)]
        return torch.cat([hard, first + self.share[:, None] * (second - first)])


def draw_batch(pairs: PairedSet, groups: int, reader: Reader, attempts: Attempts | None = None) -> Batch:
    """A random batch, augmented. Depends on the global generator alone."""
    index = torch.randint(len(pairs), (groups,))
    first, second = _two_domains(groups)
    tried = int(ATTEMPT_SHARE * groups) if attempts is not None else 0
    if attempts is not None:
        chosen = torch.randint(len(attempts), (tried,))
        index[:tried], second[:tried] = attempts.portrait[chosen], attempts.domain[chosen]
        first[:tried] = DOMAINS.index("photo")
    a, b = _pick(pairs.plain, first, index), _pick(pairs.plain, second, index)
    between, share = half_way(a, b)
    if attempts is not None:
        between[:tried], share[:tried] = batch_of(attempts.images, chosen), attempts.grades[chosen]
    images = _suffered(torch.cat([a, b, _pick(pairs.flipped, first, index), between]), groups)
    attributes, which = pairs.portraits.attributes[index], pairs.which[index]
    rows = torch.arange(groups)
    flipped = attributes.clone()
    flipped[rows, which] = ~flipped[rows, which]
    rng = Random(int(torch.randint(2**31, (1,))))
    texts = _captions(pairs, index, first, second, rng)
    prompts = domain_prompts(rng) + [prompt for domain in DOMAINS for prompt in attribute_prompts(domain, rng)]
    same = torch.tensor([[a == b for b in texts] for a in texts])
    return Batch(
        images, first, second, share, torch.cat([attributes, attributes, flipped]), which, flipped[rows, which],
        reader(texts, rng), same, reader(prompts, rng),
    )  # fmt: skip


def _suffered(x: Tensor, groups: int) -> Tensor:
    """Moved, then degraded, most of them. In half of the groups the flipped picture suffers exactly what the first one does."""
    moved = move(x, groups)
    clean = (torch.rand(groups, 1, 1, 1) < CLEAN_SHARE).float().repeat(len(x) // groups, 1, 1, 1)
    images = clean * moved + (1 - clean) * degrade(moved)
    alike = (torch.rand(groups, 1, 1, 1) < 0.5).float()
    first, flipped = slice(0, groups), slice(2 * groups, 3 * groups)
    only_attribute = images[first] + moved[flipped] - moved[first]
    images[flipped] = alike * only_attribute + (1 - alike) * images[flipped]
    return images.contiguous(memory_format=torch.channels_last)


def _two_domains(groups: int) -> tuple[Tensor, Tensor]:
    """A first domain, often photo, and another one."""
    count = len(DOMAINS)
    first = torch.where(torch.rand(groups) < PHOTO_SHARE, DOMAINS.index("photo"), torch.randint(count, (groups,)))
    return first, (first + torch.randint(1, count, (groups,))) % count


def _pick(by_domain: dict, domains: Tensor, index: Tensor) -> Tensor:
    """Item k is portrait index[k] in domain domains[k], `(G, 3, 64, 64)`."""
    images = torch.empty(len(index), *by_domain[DOMAINS[0]].shape[1:])
    for number, domain in enumerate(DOMAINS):
        rows = domains == number
        images[rows] = batch_of(by_domain[domain], index[rows])
    return images


def _captions(pairs: PairedSet, index: Tensor, first: Tensor, second: Tensor, rng: Random) -> list[str]:
    """2G captions. Those of a portrait in its two domains differ in the domain's words only: the world draws them from the same seed."""
    people, seed = pairs.portraits[index], rng.randrange(2**31)
    by_domain = [captions(people, domain, seed) for domain in DOMAINS]
    return [by_domain[domain][row] for domains in (first, second) for row, domain in enumerate(domains.tolist())]


def attribute_table(prompt_features: Tensor) -> tuple[Tensor, Tensor]:
    """Features `(65, D)` of a batch's prompts → domains `(5, D)` and attributes `(5, 6, 2, D)`, the last by (negative, positive)."""
    domains = prompt_features[: len(DOMAINS)]
    return domains, prompt_features[len(DOMAINS) :].view(len(DOMAINS), len(ATTRIBUTES), 2, -1)
