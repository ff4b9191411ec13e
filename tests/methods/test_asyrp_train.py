"""Training of a delta block: the loss by hand, what learns and what does not, resuming to the bit, the card, and what is refused."""

import pytest
import torch

from core.data.checkpoints import FolderCheckpoints
from core.data.edits import load_edit, save_edit
from core.methods import METHODS
from core.methods.asyrp_block import new_block
from core.methods.asyrp_settings import AsyrpEdit, AsyrpTune
from core.methods.asyrp_shift import MEAN, TIMESTEPS
from core.methods.losses import direction_loss, l1_loss
from core.models.h_space import HSpace
from core.process.sampling import invert, last
from core.process.timesteps import paper_timesteps
from core.types import Context, Edit, EditRequest, ShiftlabError, StepEvent, Stopped, TrainRequest
from tests.methods.conftest import Memory, short_curve, updates

METHOD = METHODS["asyrp"]
FAST = {
    "return_step": 900,
    "training_steps": 4,
    "sample_steps": 4,
    "epochs": 2,
    "grid": "paper",
    "inversion_steps": 4,
    "sample_every": 1000,
    "t_edit": 500,
    "t_boost": 0,
    "similarity": 0.8,
}


def request(images, *, target_images=None, **settings) -> TrainRequest:
    return TrainRequest(images, AsyrpTune(**{**FAST, **settings}), "smile", seed=7, target_images=target_images)


def run(context: Context, request: TrainRequest) -> tuple[list[StepEvent], Edit]:
    *events, edit = METHOD.train(request, context)
    return events, edit


def test_the_first_loss_by_hand(context, images):
    """One timestep only is edited, so the numbers are those of the untrained block."""
    event = updates(run(context, request(images, batch_size=3, t_edit=800))[0])[0]
    base = context.base
    with torch.no_grad():
        x = last(invert(base.eps, images, paper_timesteps(4, 900), base.schedule))
        t = torch.full((3,), 900)
        block = new_block(HSpace(base), 7)
        a, eps = base.schedule.alpha_bar[900], base.eps(x, t)
        emb = base.unet.time_embedding(base.unet.time_proj(t))
        hook = base.unet.mid_block.register_forward_hook(lambda _, given, h: h + block(h, emb))
        edited = (x - (1 - a).sqrt() * base.eps(x, t)) / a.sqrt()
        hook.remove()
        original = (x - (1 - a).sqrt() * eps) / a.sqrt()
        direction = context.clip.text_direction("a photo of a serious person", "a photo of a smiling person")
        change = context.clip.encode_image(edited) - context.clip.encode_image(original)
        clip, l1 = float(direction_loss(change, direction).mean()), float(l1_loss(edited, original).mean())
    assert event.numbers["clip"] == pytest.approx(clip, rel=1e-3)
    assert event.numbers["l1"] == pytest.approx(l1, rel=1e-3)
    assert event.numbers["loss"] == pytest.approx(clip + 3.0 * 0.8 * l1, rel=1e-3)


@pytest.mark.long
def test_only_the_block_learns(context, images):
    before = {name: value.clone() for name, value in context.base.state_dict().items()}
    start = new_block(HSpace(context.base), 7).state_dict()
    _, edit = run(context, request(images))
    assert all(not torch.equal(edit.weights[name], value) for name, value in start.items())
    assert all(torch.equal(value, before[name]) for name, value in context.base.state_dict().items())


@pytest.mark.long
def test_learning_follows_the_direction(context, images):
    events, _ = run(context, request(images, epochs=12, batch_size=3, w_l1=0.0, learning_rate=0.1))
    losses = [event.numbers["clip"] for event in updates(events)]
    assert losses[-1] < losses[0] - 0.05


@pytest.mark.long
def test_one_optimizer_step_at_each_edited_timestep(context, images, monkeypatch):
    steps = []
    original = torch.optim.SGD.step
    monkeypatch.setattr(torch.optim.SGD, "step", lambda self, *given: (steps.append(1), original(self, *given))[1])
    events, _ = run(context, request(images, epochs=1, batch_size=2))
    assert len(updates(events)) == 2 and len(steps) == 2 * 2  # t = 900 and 600 of 0, 300, 600, 900


@pytest.mark.long
def test_identity_pulls(context, images):
    without = run(context, request(images, w_id=0.0))[1]
    context.checkpoints = Memory()
    with_identity = run(context, request(images, w_id=5.0))[1]
    assert not torch.allclose(without.weights["conv2.weight"], with_identity.weights["conv2.weight"], atol=1e-6)


@pytest.mark.long
def test_stopped_and_resumed_equals_uninterrupted_to_the_bit(context, images, tmp_path):
    task = request(images, epochs=3, batch_size=2)
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
    assert whole.weights.keys() == resumed.weights.keys()
    assert all(torch.equal(whole.weights[name], resumed.weights[name]) for name in whole.weights)


@pytest.mark.long
def test_the_edit_keeps_through_a_file_and_edits(context, images, tmp_path):
    events, edit = run(context, request(images))
    save_edit(tmp_path / "smile.safetensors", edit, context.base.state_dict())
    kept = load_edit(tmp_path / "smile.safetensors", context.base.state_dict())
    settings = AsyrpEdit(return_step=900, generation_steps=4, grid="paper", inversion_steps=4)
    for direction in ("own", "mean", "global"):
        task = EditRequest(images, settings.model_copy(update={"direction": direction}), (kept,), 7)
        *_, result = METHOD.edit(task, context)
        assert result.images.shape == images.shape
        if direction == "own":
            assert torch.allclose(result.images, events_images(events), atol=1e-4)


def events_images(events):
    """What the last samples looked like."""
    return [event for event in events if event.phase == "sample"][-1].images


@pytest.mark.long
def test_the_card_says_where_and_how_it_edits(context, images, monkeypatch):
    short_curve(monkeypatch)
    _, edit = run(context, request(images, t_edit=None, t_boost=None, similarity=None))
    card = edit.card
    assert (card.name, card.method, card.weights, card.seed) == ("smile", "asyrp", "own", 7)
    assert AsyrpTune(**card.settings) == request(images, t_edit=None, t_boost=None, similarity=None).settings
    assert {"t_edit", "t_boost", "similarity", "s_dir"} <= card.metrics.keys()
    visited = [t for t in paper_timesteps(4, 900) if t >= card.metrics["t_edit"]]
    assert edit.weights[TIMESTEPS].tolist() == visited and len(edit.weights[MEAN]) == len(visited)


@pytest.mark.long
def test_samples_and_saves(context, images):
    events, _ = run(context, request(images, sample_every=3))
    assert [event.step for event in events if event.phase == "sample"] == [3, 6]
    assert context.checkpoints.steps == [3, 6, 6]


@pytest.mark.long
def test_float16_learns_in_float32(context, images):
    context.base = context.base.with_dtype(torch.bfloat16)
    _, edit = run(context, request(images, epochs=1))
    assert all(value.dtype == torch.float32 for value in edit.weights.values())


def test_the_work_is_what_is_done(context, images):
    task = request(images, batch_size=2)
    work = METHOD.work(task.settings, len(images), 2)
    assert (work.learning, work.updates, work.held) == (3 * 2 * 2, 4 * 2, 2)
    assert METHOD.work(task.settings.model_copy(update={"t_edit": None}), 3, 2).inference > work.inference


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"target_prompt": "  "}, "target prompt is empty"),
        ({"image_weight": 0.5}, "target images"),
        ({"t_edit": 950}, "above the return step"),
    ],
)
def test_what_cannot_be_trained_is_a_sentence(context, images, change, said):
    with pytest.raises(ShiftlabError, match=said):
        run(context, request(images, **change))


def test_a_loss_that_runs_away_is_a_sentence(context, images):
    with pytest.raises(ShiftlabError, match="no longer a number"):
        run(context, request(torch.full_like(images, float("nan"))))


def test_the_defaults_of_the_paper():
    settings = AsyrpTune()
    assert (settings.return_step, settings.inversion_steps, settings.training_steps, settings.sample_steps) == (999, 50, 50, 50)
    assert (settings.images, settings.epochs, settings.learning_rate, settings.batch_size) == (100, 5, 0.5, 1)
    assert (settings.w_clip, settings.w_l1, settings.w_id) == (1, 3, 0)
