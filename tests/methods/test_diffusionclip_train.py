"""Fine-tuning: both modes, the numbers of an update, the learning rate, resuming to the bit, and what is refused."""

import math

import pytest
import torch

from core.data.checkpoints import FolderCheckpoints
from core.methods import METHODS
from core.methods.diffusionclip_settings import DiffusionCLIPTune
from core.methods.losses import DiffusionCLIPLoss
from core.methods.walks import generated, start_latents
from core.process.timesteps import paper_timesteps
from core.types import Context, Edit, ShiftlabError, StepEvent, Stopped, TrainRequest
from tests.methods.conftest import Memory, updates

METHOD = METHODS["diffusionclip"]
FAST = {
    "return_step": 301,
    "training_steps": 3,
    "sample_steps": 3,
    "epochs": 2,
    "learning_rate": 1e-3,
    "grid": "paper",
    "inversion_steps": 4,
    "sample_every": 1000,
}


def request(images, *, target_images=None, **settings) -> TrainRequest:
    return TrainRequest(images, DiffusionCLIPTune(**{**FAST, **settings}), "sketch", seed=7, target_images=target_images)


def run(context: Context, request: TrainRequest) -> tuple[list[StepEvent], Edit]:
    *events, edit = METHOD.train(request, context)
    return events, edit


def test_the_first_loss_by_hand(context, images):
    event = updates(run(context, request(images, batch_size=3))[0])[0]
    *_, end = iterate(start_latents(images, 301, "paper", 4, context))
    edited = generated(context.base.eps, end[0], paper_timesteps(3, 301), context)
    direction = context.clip.text_direction("a photo of a person", "a pencil sketch of a person")
    loss = DiffusionCLIPLoss(context.clip, None, direction, w_clip=3.0, w_l1=1.0, w_id=0.0)
    _, expected = loss(edited, loss.originals(images))
    assert {name: event.numbers[name] for name in expected} == pytest.approx(expected, rel=1e-3)


@pytest.mark.long
def test_samples_are_guided_and_the_training_is_not(context, images):
    (_, plain), (events, guided) = (run(context, request(images, attention_guidance=scale)) for scale in (0.0, 0.8))
    assert all(torch.equal(value, guided.weights[name]) for name, value in plain.weights.items())
    *_, (latents, _) = iterate(start_latents(images, 301, "paper", 4, context))
    shown = next(event.images for event in reversed(events) if event.phase == "sample")
    tuned = context.base.tuned(guided.weights)
    expected, unguided = (generated(eps, latents, paper_timesteps(3, 301), context).clamp(-1, 1) for eps in (tuned.guided(0.8), tuned.eps))
    torch.testing.assert_close(shown, expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(shown, unguided, atol=1e-3)


def iterate(generator):
    """The events of a generator and then the value it returns."""
    value = yield from generator
    yield value


@pytest.mark.long
@pytest.mark.parametrize("mode", ["chained", "saving"])
def test_every_weight_of_the_network_moves_and_the_base_does_not(context, images, mode):
    before = {name: value.clone() for name, value in context.base.state_dict().items()}
    _, edit = run(context, request(images, mode=mode))
    assert all(not torch.equal(edit.weights[name], before[name]) for name in before)
    assert all(torch.equal(value, before[name]) for name, value in context.base.state_dict().items())


@pytest.mark.long
def test_learning_follows_the_direction(context, images):
    events, _ = run(context, request(images, epochs=8, batch_size=3, w_l1=0.0))
    losses = [event.numbers["clip"] for event in updates(events)]
    assert losses[-1] < losses[0] - 0.05


@pytest.mark.long
def test_the_learning_rate_grows_after_each_epoch(context, images):
    events = updates(run(context, request(images, epochs=3, batch_size=2, learning_rate=1e-5))[0])
    assert [event.numbers["lr"] for event in events] == pytest.approx([1e-5, 1e-5, 1.3e-5, 1.3e-5, 1.69e-5, 1.69e-5])
    assert [event.numbers["epoch"] for event in events] == [1, 1, 2, 2, 3, 3]
    assert [(event.step, event.total) for event in events] == [(i, 6) for i in range(1, 7)]


@pytest.mark.parametrize(("mode", "steps"), [("chained", 1), ("saving", 3)])
def test_optimizer_steps_of_a_batch(context, images, mode, steps):
    run(context, request(images[:1], mode=mode, epochs=1))
    counts = {int(state["step"]) for state in context.checkpoints.kept["optimizer"]["state"].values()}
    assert counts == {steps}


@pytest.mark.long
def test_the_identity_loss_has_a_gradient_in_saving_mode(context, images):
    """The reference computes it there on a detached tensor, where its weight changes nothing."""
    without = run(context, request(images, mode="saving", w_id=0.0))[1]
    context.checkpoints = Memory()
    with_identity = run(context, request(images, mode="saving", w_id=5.0))[1]
    assert any(not torch.allclose(without.weights[name], with_identity.weights[name], atol=1e-6) for name in without.weights)


@pytest.mark.long
@pytest.mark.parametrize("mode", ["chained", "saving"])
def test_stopped_and_resumed_equals_uninterrupted_to_the_bit(context, images, mode, tmp_path):
    task = request(images, mode=mode, epochs=3, batch_size=2, w_patches=1.0, w_strokes=1.0, w_structure=1.0, target_images=-images)
    _, whole = run(context, task)

    saved, seen = [], []
    context.checkpoints, context.should_stop = FolderCheckpoints(tmp_path, saved.append), lambda: len(seen) >= 3
    with pytest.raises(Stopped):
        for event in METHOD.train(task, context):
            seen.extend(updates([event]))
    assert saved == [3]

    context.checkpoints = FolderCheckpoints(tmp_path)
    context.should_stop = lambda: False
    events, resumed = run(context, task)
    assert [event.step for event in updates(events)] == [4, 5, 6]
    assert all(torch.equal(whole.weights[name], resumed.weights[name]) for name in whole.weights)


@pytest.mark.long
def test_save_now_and_regular_saves(context, images):
    presses = iter([False, True, False, False, False, False])
    context.save_now = lambda: next(presses, False)
    events, _ = run(context, request(images, sample_every=3))
    assert context.checkpoints.steps == [2, 3, 6, 6]
    assert [event.step for event in events if event.phase == "sample"] == [3, 6]


@pytest.mark.long
def test_samples_are_the_same_pictures_with_scores(context, images):
    task = request(images)
    task = TrainRequest(task.images, task.settings, task.name, samples=images[1:])
    sample = [event for event in run(context, task)[0] if event.phase == "sample"][-1]
    assert sample.images.shape == images[1:].shape and not sample.images.requires_grad
    assert set(sample.numbers) == {"s_dir", "identity", "perceptual", "psnr"}


def test_the_card_says_where_the_edit_comes_from(context, images):
    _, edit = run(context, request(images))
    card = edit.card
    assert (card.name, card.method, card.seed, card.base_fingerprint) == ("sketch", "diffusionclip", 7, context.base.fingerprint)
    assert DiffusionCLIPTune(**card.settings) == request(images).settings
    assert card.target_prompt == "a pencil sketch of a person" and "torch" in card.versions and "s_dir" in card.metrics
    assert all(value.dtype == torch.float32 for value in edit.weights.values())


@pytest.mark.long
def test_gradient_checkpointing_learns_the_same(context, images):
    plain = run(context, request(images, epochs=1))[1]
    context.checkpoints = Memory()
    saving = run(context, request(images, epochs=1, gradient_checkpointing=True))[1]
    assert all(torch.allclose(plain.weights[name], saving.weights[name], atol=1e-5) for name in plain.weights)


@pytest.mark.long
def test_bfloat16_autocast_keeps_float32_weights(context, images):
    context.base = context.base.with_dtype(torch.bfloat16)
    events, edit = run(context, request(images, epochs=1))
    assert all(math.isfinite(event.numbers["loss"]) for event in updates(events))
    assert all(value.dtype == torch.float32 for value in edit.weights.values())


@pytest.mark.long
def test_images_give_the_direction_without_prompts(context, images):
    task = request(images, image_weight=1.0, target_prompt="", target_images=-images)
    assert updates(run(context, task)[0])


@pytest.mark.long
def test_patches_of_target_images_count_where_they_have_a_weight(context, images):
    plain = updates(run(context, request(images, target_images=-images))[0])
    context.checkpoints = Memory()
    with_patches = updates(run(context, request(images, w_patches=5.0, target_images=-images))[0])
    assert "patches" not in plain[0].numbers
    first = with_patches[0].numbers
    assert first["loss"] == pytest.approx(plain[0].numbers["loss"] + 5 * first["patches"], rel=1e-3) and first["patches"] > 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"target_prompt": "  "}, "target prompt is empty"),
        ({"reference_prompt": ""}, "reference prompt is empty"),
        ({"target_prompt": "a photo of a person"}, "are the same"),
        ({"image_weight": 0.5}, "target images"),
        ({"w_patches": 1.0}, "target images"),
        ({"w_strokes": 1.0}, "target images"),
    ],
)
def test_directions_that_lead_nowhere_are_sentences(context, images, change, said):
    with pytest.raises(ShiftlabError, match=said):
        run(context, request(images, **change))


def test_differences_need_a_batch():
    with pytest.raises(ValueError, match="batch size to 2 or more"):
        DiffusionCLIPTune(w_pairs=1.0)
    assert DiffusionCLIPTune(w_pairs=1.0, batch_size=2).w_pairs == 1.0


def test_missing_models_and_images_are_sentences(context, images):
    with pytest.raises(ShiftlabError, match="no images"):
        run(context, request(images[:0]))
    context.identity = None
    with pytest.raises(ShiftlabError, match="identity encoder"):
        run(context, request(images, w_id=1.0))
    context.clip = None
    with pytest.raises(ShiftlabError, match="needs a CLIP"):
        run(context, request(images))


def test_a_loss_that_runs_away_is_a_sentence(context, images):
    with pytest.raises(ShiftlabError, match="no longer a number"):
        run(context, request(torch.full_like(images, float("nan"))))


def test_the_defaults_of_the_paper():
    settings = DiffusionCLIPTune()
    assert (settings.return_step, settings.inversion_steps, settings.training_steps, settings.sample_steps) == (500, 40, 6, 40)
    assert (settings.images, settings.epochs, settings.learning_rate, settings.learning_rate_growth) == (50, 5, 8e-6, 1.3)
    assert (settings.w_clip, settings.w_l1, settings.w_id, settings.batch_size) == (3, 1, 0, 1)
