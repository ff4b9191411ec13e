"""The way of an image through DiffusionCLIP: strength, mixtures, grids, randomness of its own for every item, refusals."""

import pytest
import torch

from core.data.trajectories import TrajectoryStore
from core.methods import METHODS
from core.methods.diffusionclip_settings import DiffusionCLIPEdit
from core.process.sampling import generate, invert, last
from core.process.timesteps import lab_timesteps, paper_timesteps
from core.types import Context, EditRequest, EditResult, ShiftlabError, Stopped
from tests.methods.conftest import random_edit

METHOD = METHODS["diffusionclip"]
FAST = {"return_step": 61, "generation_steps": 4, "grid": "paper", "inversion_steps": 4}


def run(context: Context, images, *edits, seed: int = 3, **settings) -> EditResult:
    request = EditRequest(images, DiffusionCLIPEdit(**{**FAST, **settings}), edits, seed)
    *_, result = METHOD.edit(request, context)
    return result


@pytest.fixture
def sketch(models):
    return random_edit(models["base"], 1)


@pytest.fixture
def hat(models):
    return random_edit(models["base"], 2, "hat")


def walked(base, images, eps_model, return_step=61):
    """The paper's way, written out."""
    latent = last(invert(base.eps, images, paper_timesteps(4, return_step), base.schedule))
    return last(generate(eps_model, latent, paper_timesteps(4, return_step), base.schedule)).clamp(-1, 1)


def test_inverted_with_the_original_and_generated_with_the_tuned_network(context, images, sketch):
    tuned = context.base.tuned(sketch.weights)
    assert torch.equal(run(context, images, sketch).images, walked(context.base, images, tuned.eps))


def test_strength(context, images, sketch):
    base, tuned = context.base, context.base.tuned(sketch.weights)
    reconstruction = run(context, images).images
    assert torch.equal(reconstruction, walked(base, images, base.eps))
    assert torch.equal(run(context, images, sketch, strength=0.0).images, reconstruction)
    expected = walked(base, images, lambda x, t: 0.3 * tuned.eps(x, t) + 0.7 * base.eps(x, t))
    assert torch.allclose(run(context, images, sketch, strength=0.3).images, expected, atol=1e-5)


@pytest.mark.long
def test_every_network_of_the_way_back_is_guided(context, images, sketch):
    base, tuned = context.base, context.base.tuned(sketch.weights)
    guided = {"attention_guidance": 0.8}
    assert torch.equal(run(context, images, **guided).images, walked(base, images, base.guided(0.8)))
    expected = walked(base, images, lambda x, t: 0.3 * tuned.guided(0.8)(x, t) + 0.7 * base.guided(0.8)(x, t))
    assert torch.allclose(run(context, images, sketch, strength=0.3, **guided).images, expected, atol=1e-5)
    assert not torch.allclose(expected, run(context, images, sketch, strength=0.3).images, atol=1e-5)


@pytest.mark.long
def test_hybrid_by_thresholds_for_whole_batches(context, images, sketch, hat):
    first, second = (context.base.tuned(edit.weights) for edit in (sketch, hat))

    def mixed(x, t):
        return first.eps(x, t) if int(t[0]) >= 40 else 0.25 * first.eps(x, t) + 0.75 * second.eps(x, t)

    table = {40: [2.0, 0.0], 0: [1.0, 3.0]}
    result = run(context, images, sketch, hat, hybrid=table)
    assert torch.allclose(result.images, walked(context.base, images, mixed), atol=1e-5)


@pytest.mark.long
def test_several_edits_without_a_table_share_equally(context, images, sketch, hat):
    equal = run(context, images, sketch, hat)
    assert torch.equal(equal.images, run(context, images, sketch, hat, hybrid={0: [1.0, 1.0]}).images)


@pytest.mark.parametrize("table", [{0: [1.0]}, {0: [0.0, 0.0]}, {100: [1.0, 1.0]}])
def test_mixtures_that_do_not_fit_are_sentences(context, images, sketch, hat, table):
    with pytest.raises(ShiftlabError):
        run(context, images, sketch, hat, hybrid=table)


@pytest.mark.parametrize("settings", [{}, {"eta": 0.7}, {"encoding": "noise"}, {"n_iter": 2, "return_step": 301}])
def test_a_batch_equals_its_members_alone(context, images, sketch, settings):
    together = run(context, images, sketch, **settings)
    alone = [run(context, images[i : i + 1], sketch, seed=3 + i, **settings) for i in range(len(images))]
    assert torch.allclose(together.images, torch.cat([result.images for result in alone]), atol=1e-4)
    for i, result in enumerate(alone):
        assert together.scores[i] == pytest.approx(result.scores[0], abs=1e-2)


@pytest.mark.long
@pytest.mark.parametrize("settings", [{"eta": 1.0}, {"encoding": "noise"}, {"n_iter": 1}])
def test_the_seed_decides(context, images, settings):
    first = run(context, images, **settings).images
    assert torch.equal(run(context, images, **settings).images, first)
    assert not torch.allclose(run(context, images, seed=99, **settings).images, first, atol=1e-3)


def test_the_lab_grid_inverts_once_for_every_return_step(context, images, tmp_path):
    context.store = TrajectoryStore(tmp_path)
    timings = [run(context, images, grid="lab", return_step=t).timing for t in (301, 401, 601, 600)]
    assert [timing["cached"] for timing in timings] == [0.0, 1.0, 1.0, 1.0]
    assert set(timings[0]) == {"invert", "generate", "total", "cached"}


@pytest.mark.long
def test_a_return_step_between_stored_ones_takes_one_more_step(context, images):
    base, grid = context.base, [t for t in lab_timesteps() if t < 50]
    latent = last(invert(base.eps, images, [*grid, 50], base.schedule))
    expected = last(generate(base.eps, latent, paper_timesteps(4, 50), base.schedule)).clamp(-1, 1)
    assert torch.allclose(run(context, images, grid="lab", return_step=50).images, expected, atol=1e-5)


def test_events_come_in_order_and_count(context, images, sketch):
    settings = DiffusionCLIPEdit(**FAST, n_iter=2)
    *events, result = METHOD.edit(EditRequest(images, settings, (sketch,)), context)
    assert [event.images is not None for event in events] == [False] * 18 + [True], "the picture is shown before it is scored"
    assert torch.equal(events[-1].images, result.images)
    for phase, total in (("encode", 12), ("invert", 3), ("generate", 4)):
        assert [(event.step, event.total) for event in events if event.phase == phase] == [(i, total) for i in range(1, total + 1)]
    assert [event.phase for event in events] == ["encode"] * 12 + ["invert"] * 3 + ["generate"] * 4


def test_scores_by_what_is_loaded(context, images, sketch):
    assert set(run(context, images, sketch).scores[0]) == {"s_dir", "identity", "perceptual", "psnr"}
    assert set(run(context, images).scores[0]) == {"identity", "perceptual", "psnr"}  # no prompts, no direction
    context.clip = context.identity = context.perceptual = None
    assert [set(score) for score in run(context, images, sketch).scores] == [{"psnr"}] * 3


def test_an_edit_of_another_base_is_refused_by_name(context, images, models):
    stranger = random_edit(models["base"], 1, "stranger", fingerprint="feedbeeffeedbeef")
    with pytest.raises(ShiftlabError, match=r"'stranger' belongs to the base feedbeeffeedbeef"):
        run(context, images, stranger)
    assert run(context, images, stranger, any_base=True).images.shape == images.shape


@pytest.mark.long
def test_a_low_return_step_takes_fewer_steps(context, images):
    assert run(context, images, grid="lab", return_step=1, generation_steps=40).images.shape == images.shape


def test_stopping(context, images):
    context.should_stop = lambda: True
    with pytest.raises(Stopped):
        run(context, images)


def test_the_networks_of_recent_edits_are_kept(context, images, sketch):
    built = []
    original = context.base.tuned

    class Watched:
        def __getattr__(self, name):
            return getattr(base, name)

        def tuned(self, weights):
            built.append(1)
            return original(weights)

    base, context.base = context.base, Watched()
    run(context, images, sketch)
    run(context, images, sketch, strength=0.5)
    assert len(built) == 1


def test_gradients_stay_on_for_the_one_who_watches(context, images):
    """The edit works without gradients, but must not switch them off between its steps."""
    walk = METHOD.edit(EditRequest(images, DiffusionCLIPEdit(**FAST)), context)
    next(walk)
    assert torch.is_grad_enabled()
    walk.close()
