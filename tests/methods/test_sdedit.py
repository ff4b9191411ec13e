"""SDEdit: the walk written out, masks, strokes, repeats, tuned bases, and noise of its own for every item."""

import pytest
import torch

from core.methods import METHODS
from core.methods.sdedit import SDEditSettings
from core.process.ddim import add_noise
from core.process.noise import ItemNoise
from core.process.sampling import generate, last
from core.process.timesteps import paper_timesteps
from core.types import Context, EditRequest, EditResult, ShiftlabError, Stopped
from tests.methods.conftest import random_edit

METHOD = METHODS["sdedit"]
FAST = {"return_step": 60, "generation_steps": 4}


def run(context: Context, images, *edits, seed: int = 3, painted=None, mask=None, **settings) -> EditResult:
    request = EditRequest(images, SDEditSettings(**{**FAST, **settings}), edits, seed, painted, mask)
    *_, result = METHOD.edit(request, context)
    return result


@pytest.fixture
def painting(models):
    return random_edit(models["base"], 1, "painting")


@pytest.fixture
def mask(images):
    """The left half may change."""
    mask = torch.zeros(len(images), 1, *images.shape[2:])
    mask[..., : images.shape[3] // 2] = 1.0
    return mask


def redrawn(base, eps_model, images, noise):
    """Noised with ᾱ at t0 − 1, and down."""
    x = add_noise(images, 59, noise.normal(images.shape[1:]), base.schedule)
    return last(generate(eps_model, x, paper_timesteps(4, 59), base.schedule)).clamp(-1, 1)


@pytest.mark.long
def test_noised_below_the_return_step_and_denoised_by_the_tuned_base(context, images, painting):
    tuned = context.base.tuned(painting.weights)
    expected = redrawn(context.base, tuned.eps, images, ItemNoise([3, 4, 5]))
    assert torch.equal(run(context, images, painting).images, expected)
    assert not torch.allclose(run(context, images).images, expected, atol=1e-3)


@pytest.mark.long
def test_the_way_back_may_be_guided(context, images, painting):
    tuned = context.base.tuned(painting.weights)
    expected = redrawn(context.base, tuned.guided(0.8), images, ItemNoise([3, 4, 5]))
    assert torch.equal(run(context, images, painting, attention_guidance=0.8).images, expected)
    assert not torch.allclose(run(context, images, painting).images, expected, atol=1e-5)


def test_each_repeat_redraws_the_last_result_with_new_noise(context, images):
    noise = ItemNoise([3, 4, 5])
    once = redrawn(context.base, context.base.eps, images, noise)
    assert torch.equal(run(context, images, repeats=2).images, redrawn(context.base, context.base.eps, once, noise))


def test_outside_the_mask_the_picture_stays_as_it_is(context, images, mask):
    result = run(context, images, mask=mask, repeats=2, eta=1.0).images
    half = images.shape[3] // 2
    assert torch.equal(result[..., half:], images[..., half:])
    assert (result[..., :half] - images[..., :half]).abs().mean() > 0.01


def test_what_is_kept_is_noised_with_the_same_draw_at_every_step(context, images, mask):
    """The network must see, outside the mask, the picture under the very noise that the walk began with."""
    seen = []

    class Watching:
        def __getattr__(self, name):
            return getattr(base, name)

        def guided(self, scale):
            return self.eps

        def eps(self, x, t):
            seen.append((int(t[0]), x))
            return base.eps(x, t)

    base, context.base = context.base, Watching()
    run(context, images, mask=mask)
    z = ItemNoise([3, 4, 5]).normal(images.shape[1:])
    half = images.shape[3] // 2
    assert [t for t, _ in seen] == paper_timesteps(4, 59)[::-1]
    for t, x in seen:
        assert torch.allclose(x[..., half:], add_noise(images, t, z, base.schedule)[..., half:], atol=1e-6)


def test_strokes_are_what_is_redrawn_and_the_picture_is_what_is_kept_and_compared(context, images, mask):
    painted = images.clone()
    painted[..., 2:6, :] = 0.9
    assert torch.equal(run(context, images, painted=painted).images, run(context, painted).images)
    result = run(context, images, painted=painted, mask=mask)
    half = images.shape[3] // 2
    assert torch.equal(result.images[..., half:], images[..., half:])
    assert result.scores != run(context, painted, mask=mask).scores


@pytest.mark.long
@pytest.mark.parametrize("settings", [{}, {"eta": 0.7}, {"repeats": 2, "eta": 1.0}])
def test_a_batch_equals_its_members_alone(context, images, mask, painting, settings):
    painted = images.flip(0)
    together = run(context, images, painting, painted=painted, mask=mask, **settings)
    request = EditRequest(images, SDEditSettings(**{**FAST, **settings}), (painting,), 3, painted, mask)
    for i in range(len(images)):
        *_, alone = METHOD.edit(request.part(i, i + 1), context)
        assert torch.allclose(together.images[i : i + 1], alone.images, atol=1e-4)
        assert together.scores[i] == pytest.approx(alone.scores[0], abs=1e-2)


def test_events_count_through_the_repeats_and_the_last_shows_the_images(context, images):
    *events, result = METHOD.edit(EditRequest(images, SDEditSettings(**FAST, repeats=2)), context)
    assert [(event.phase, event.step, event.total) for event in events] == [("generate", i, 8) for i in range(1, 9)]
    assert all(event.images is None for event in events[:-1]) and torch.equal(events[-1].images, result.images)
    assert {"generate", "total", "cached"} == set(result.timing) and {"identity", "perceptual", "psnr"} <= set(result.scores[0])


def test_the_direction_comes_from_the_tuned_base_or_from_the_settings(context, images, painting):
    assert "s_dir" in run(context, images, painting).scores[0]
    assert "s_dir" not in run(context, images).scores[0]
    assert "s_dir" in run(context, images, reference_prompt="a photo", target_prompt="a painting").scores[0]


def test_no_more_steps_than_there_are_below_the_return_step(context, images):
    *events, _ = METHOD.edit(EditRequest(images, SDEditSettings(return_step=20, generation_steps=1000)), context)
    assert len(events) == 20


def test_refusals(context, images, models, painting):
    with pytest.raises(ShiftlabError, match="'painting', 'painting'"):
        run(context, images, painting, painting)
    stranger = random_edit(models["base"], 1, "stranger", fingerprint="feedbeeffeedbeef")
    with pytest.raises(ShiftlabError, match="belongs to the base feedbeeffeedbeef"):
        run(context, images, stranger)
    assert run(context, images, stranger, any_base=True).images.shape == images.shape
    context.should_stop = lambda: True
    with pytest.raises(Stopped):
        run(context, images)
