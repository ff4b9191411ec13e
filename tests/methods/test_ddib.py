"""DDIB: which base leads up and which down, the way back, kept inversions, refusals."""

from dataclasses import replace

import pytest
import torch

from core.data.trajectories import TrajectoryStore
from core.methods import METHODS
from core.methods.ddib import DDIBSettings
from core.process.sampling import generate, invert, last
from core.process.timesteps import paper_timesteps
from core.types import Context, EditRequest, EditResult, ShiftlabError
from tests.methods.conftest import random_edit

METHOD = METHODS["ddib"]
FAST = {"return_step": 59, "generation_steps": 4, "grid": "paper", "inversion_steps": 4}


def run(context: Context, images, *edits, **settings) -> EditResult:
    *_, result = METHOD.edit(EditRequest(images, DDIBSettings(**{**FAST, **settings}), edits), context)
    return result


@pytest.fixture
def painting(models):
    return random_edit(models["base"], 1, "painting")


@pytest.fixture
def night(models):
    return random_edit(models["base"], 2, "night")


def crossed(images, source, target):
    latent = last(invert(source.eps, images, paper_timesteps(4, 59), source.schedule))
    return last(generate(target.eps, latent, paper_timesteps(4, 59), target.schedule)).clamp(-1, 1)


@pytest.mark.long
def test_up_with_the_source_base_and_down_with_the_target_base(context, images, painting, night):
    base = context.base
    first, second = base.tuned(painting.weights), base.tuned(night.weights)
    assert torch.equal(run(context, images, painting).images, crossed(images, base, first))
    assert torch.equal(run(context, images, painting, back=True).images, crossed(images, first, base))
    assert torch.equal(run(context, images, painting, night).images, crossed(images, first, second))
    assert torch.equal(run(context, images, painting, night, back=True).images, crossed(images, second, first))


@pytest.mark.long
def test_the_target_alone_is_guided(context, images, painting):
    tuned = context.base.tuned(painting.weights)
    latent = last(invert(context.base.eps, images, paper_timesteps(4, 59), context.base.schedule))
    expected = last(generate(tuned.guided(0.8), latent, paper_timesteps(4, 59), context.base.schedule)).clamp(-1, 1)
    assert torch.equal(run(context, images, painting, attention_guidance=0.8).images, expected)


@pytest.mark.long
def test_there_and_back_leads_to_where_it_began(context, images, painting):
    """The bridge is exact in the limit of many steps; with more of them the images come back closer."""

    def missed(steps: int) -> float:
        there = {"return_step": 59, "generation_steps": steps, "inversion_steps": steps, "grid": "paper"}
        result = run(context, run(context, image, painting, **there).images, painting, back=True, **there)
        return (result.images - image).abs().mean().item()

    image = 0.3 * images[:1]
    assert missed(24) < 0.6 * missed(4)


@pytest.mark.long
def test_the_inversion_is_kept_for_another_target(context, images, painting, night, tmp_path):
    context.store = TrajectoryStore(tmp_path)
    runs = [run(context, images, edit, grid="lab", return_step=999).timing["cached"] for edit in (painting, night)]
    assert runs == [0.0, 1.0]
    assert run(context, images, painting, grid="lab", return_step=999, back=True).timing["cached"] == 0.0  # another base led up


def test_events(context, images, painting):
    *events, result = METHOD.edit(EditRequest(images, DDIBSettings(**FAST), (painting,)), context)
    assert [event.phase for event in events] == ["invert"] * 3 + ["generate"] * 4
    assert torch.equal(events[-1].images, result.images) and set(result.timing) == {"invert", "generate", "total", "cached"}


@pytest.mark.long
def test_a_batch_equals_its_members_alone(context, images, painting):
    together = run(context, images, painting).images
    alone = torch.cat([run(context, images[i : i + 1], painting).images for i in range(len(images))])
    assert torch.allclose(together, alone, atol=1e-4)


def test_a_base_that_was_tuned_below_the_return_step_only_is_told_of(context, images, painting):
    low = replace(painting, card=painting.card.model_copy(update={"settings": {"return_step": 41}}))
    assert "“painting” learned below 41 only" in run(context, images[:1], low).note
    assert run(context, images[:1], low, return_step=39).note == run(context, images[:1], painting).note == ""


def test_refusals(context, images, models, painting):
    with pytest.raises(ShiftlabError, match="needs a second base"):
        run(context, images)
    with pytest.raises(ShiftlabError, match="3 edits"):
        run(context, images, painting, painting, painting)
    with pytest.raises(ShiftlabError, match="belongs to the base"):
        run(context, images, random_edit(models["base"], 1, "stranger", fingerprint="feedbeeffeedbeef"))
