"""The portraits world: the truth about a picture must not depend on the batch, the domain or the other attributes."""

import pytest
import torch

from core.types import ShiftlabError
from core.worlds import portraits as world
from core.worlds.people import IDENTITY


@pytest.mark.parametrize("domain", world.DOMAINS)
def test_an_item_is_drawn_the_same_alone_and_in_a_batch(domain):
    people = world.sample(3, seed=1)
    together = world.render(people, domain)
    alone = torch.cat([world.render(people[k : k + 1], domain) for k in range(3)])
    assert together.shape == (3, 3, 64, 64) and together.dtype == torch.float32
    assert together.min() >= -1 and together.max() <= 1 and together.isfinite().all()
    assert torch.allclose(together, alone, atol=1e-5)


def test_the_first_of_a_larger_sample_are_the_same():
    few, many = world.sample(3, seed=4), world.sample(9, seed=4)[:3]
    assert torch.equal(few.identity, many.identity) and torch.equal(few.seeds, many.seeds)


def test_same_people_keep_their_identity_and_change_the_rest():
    people = world.sample(5, seed=2)
    later = world.same_people(people, seed=3)
    assert torch.equal(people.identity, later.identity) and people.identity.shape[1] == len(IDENTITY)
    assert not torch.equal(people.nuisance, later.nuisance) and not torch.equal(people.seeds, later.seeds)


@pytest.mark.parametrize("attribute", world.ATTRIBUTES)
@pytest.mark.parametrize("domain", world.DOMAINS)
def test_every_attribute_shows_in_every_domain_and_changes_only_part_of_the_picture(attribute, domain):
    people = world.sample(4, seed=6, hat=False)  # a hat hides what age does to the hair
    off, on = (world.render(world.with_attributes(people, **{attribute: value}), domain) for value in (False, True))
    changed = ((off - on).abs().amax(1) > 0.1).float().mean((1, 2))
    assert changed.min() > 0.003 and changed.max() < 0.6


def test_a_limited_set_lacks_glasses_hats_and_smiles():
    people = world.limited(64, seed=0)
    assert not (people.glasses.any() or people.hat.any() or people.smiling.any())
    assert people.beard.any() and people.old.any()


def test_captions_name_the_domain_and_only_true_attributes():
    people = world.sample(200, seed=0)
    for domain, word in (("sketch", ("sketch", "drawing")), ("night", ("night",)), ("cartoon", ("cartoon", "comic"))):
        lines = world.captions(people, domain, seed=1)
        assert all(any(w in line for w in word) for line in lines) and len(set(lines)) > 150
    lines = world.captions(people, "photo", seed=2)
    assert all(bool(g) for line, g in zip(lines, people.glasses, strict=True) if "with glasses" in line or "wearing glasses" in line)
    assert not any(bool(o) for line, o in zip(lines, people.old, strict=True) if "young" in line)


def test_an_unknown_domain_is_a_sentence():
    with pytest.raises(ShiftlabError, match="no domain 'watercolour'"):
        world.render(world.sample(1, 0), "watercolour")
