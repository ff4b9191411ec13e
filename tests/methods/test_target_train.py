"""What SDFT and DomainStudio share: the loop to the bit, batches, the average, adapters, learned sigma, samples and cards."""

import pytest
import torch

from core.data.checkpoints import FolderCheckpoints
from core.data.edits import load_edit, save_edit
from core.methods import METHODS
from core.methods.domainstudio_settings import DomainStudioTune
from core.methods.sdft_settings import SDFTTune
from core.methods.student import Student
from core.methods.target_train import TargetTuning, free_samples
from core.models.base import Base
from core.types import Context, Edit, ShiftlabError, StepEvent, Stopped, TrainRequest
from tests.methods.conftest import Memory, updates
from tests.tiny import tiny_unet

FAST = {"steps": 4, "batch_size": 3, "learning_rate": 1e-3, "sample_every": 100, "sample_steps": 2}
CLASSES = {"sdft": SDFTTune, "domainstudio": DomainStudioTune}


def request(images, method="sdft", **settings) -> TrainRequest:
    return TrainRequest(images, CLASSES[method](**{**FAST, **settings}), "paintings", seed=7)


def run(context: Context, request: TrainRequest) -> tuple[list[StepEvent], Edit]:
    *events, edit = METHODS[request.settings.method].train(request, context)
    return events, edit


@pytest.mark.long
@pytest.mark.parametrize(
    ("method", "settings"), [("sdft", {}), ("sdft", {"rank": 2}), ("sdft", {"start": "scratch"}), ("domainstudio", {})]
)
def test_stopped_and_resumed_equals_uninterrupted_to_the_bit(context, images, method, settings, tmp_path):
    task = request(images, method, **settings)
    _, whole = run(context, task)

    seen = []
    context.checkpoints, context.should_stop = FolderCheckpoints(tmp_path), lambda: len(seen) >= 2
    with pytest.raises(Stopped):
        for event in METHODS[method].train(task, context):
            seen.extend(updates([event]))

    torch.manual_seed(123)  # another process would have another one
    context.checkpoints, context.should_stop = FolderCheckpoints(tmp_path), lambda: False
    events, resumed = run(context, task)
    assert [event.step for event in updates(events)] == [3, 4]
    assert all(torch.equal(whole.weights[name], resumed.weights[name]) for name in whole.weights)


@pytest.mark.long
@pytest.mark.parametrize("method", ["sdft", "domainstudio"])
def test_the_network_moves_and_the_base_does_not(context, images, method):
    before = {name: value.clone() for name, value in context.base.state_dict().items()}
    _, edit = run(context, request(images, method))
    assert set(edit.weights) == set(before) and all(not torch.equal(edit.weights[name], before[name]) for name in before)
    assert all(torch.equal(value, before[name]) for name, value in context.base.state_dict().items())


@pytest.mark.long
def test_it_learns_the_target(context):
    """One picture again and again: the student denoises it better than the source does."""
    image = torch.full((1, 3, 16, 16), 0.5)
    losses = [event.numbers["denoising"] for event in updates(run(context, request(image, steps=60, ema=0.9))[0])]
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


@pytest.mark.long
@pytest.mark.parametrize("method", ["sdft", "domainstudio"])
def test_learned_sigma_has_the_bound_and_learns_its_variance(context, images, method):
    context.base = Base(tiny_unet(out_channels=6))
    events, edit = run(context, request(images, method))
    assert all(event.numbers["bound"] > 0 for event in updates(events))
    moved = edit.weights["conv_out.weight"] - context.base.state_dict()["conv_out.weight"]
    assert (moved.flatten(1).abs().amax(dim=1) > 0).all()  # all six outputs
    assert edit.weights["conv_out.weight"].shape[0] == 6


@pytest.mark.long
def test_adapters_start_as_nothing_and_are_merged(context, images):
    student = Student(context.base, rank=2, seed=1)
    weights = student.weights()
    assert all(torch.equal(weights[name], value) for name, value in context.base.state_dict().items())
    _, edit = run(context, request(images, rank=2))
    assert set(edit.weights) == set(weights)
    difference = edit.weights["mid_block.resnets.0.conv1.weight"] - weights["mid_block.resnets.0.conv1.weight"]
    singular = torch.linalg.svdvals(difference.flatten(1))
    assert singular[1] > 0 and singular[2:].max() < 1e-5 * singular[0]
    assert torch.equal(edit.weights["conv_in.bias"], weights["conv_in.bias"])


def test_merged_adapters_predict_as_the_adapted_network_does(context):
    student = Student(context.base, rank=2)
    with torch.no_grad():
        for weight in student.learning.values():
            weight.normal_(std=0.1, generator=torch.Generator().manual_seed(0))
    student.follow(0.0)
    x, t = torch.randn(2, 3, 16, 16), torch.tensor([3, 700])
    with torch.no_grad():
        assert torch.allclose(context.base.tuned(student.weights()).eps(x, t), student.outputs(x, t)[0], atol=1e-4)


def test_scratch_is_random_by_the_seed(context):
    weights = [Student(context.base, "scratch", seed=seed).weights()["conv_in.weight"] for seed in (1, 1, 2)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert not torch.equal(weights[0], context.base.state_dict()["conv_in.weight"])


@pytest.mark.long
def test_the_average_is_what_is_kept(context, images):
    state = run_state(context, images, steps=2)
    kept = run(context, request(images, steps=2))[1].weights
    name = "conv_in.weight"
    start = context.base.state_dict()[name]
    assert torch.equal(kept[name], state["average"][name])
    assert 0 < (kept[name] - start).norm() < (state["weights"][name] - start).norm() * 1.5
    assert not torch.equal(state["average"][name], state["weights"][name])


def run_state(context, images, **settings):
    context.checkpoints = Memory()
    run(context, request(images, **settings))
    state, context.checkpoints = context.checkpoints.kept, Memory()
    return state


def test_batches_go_through_the_whole_set_and_mirror_half(context):
    targets = torch.arange(5.0).view(5, 1, 1, 1).expand(5, 3, 16, 16).clone()
    targets[..., 8:] += 0.5  # the right half
    tuning = TargetTuning(request(targets, batch_size=2).settings, targets, None, 0, context, "source")
    seen, mirrored = [], []
    for step in range(20):
        tuning.step = step
        x0 = tuning.batch().x0
        seen += x0[:, 0, 0].amin(dim=1).tolist()
        mirrored += (x0[:, 0, 0, 0] > x0[:, 0, 0, -1]).tolist()
    assert all(sorted(seen[i : i + 5]) == [0, 1, 2, 3, 4] for i in range(0, 40, 5)) and seen[:5] != seen[5:10]
    assert 8 < sum(mirrored) < 32
    tuning.settings = tuning.settings.model_copy(update={"flip": False})
    assert (tuning.batch().x0[:, 0, 0, 0] < tuning.batch().x0[:, 0, 0, -1]).all()


def test_free_samples_belong_to_their_seeds(context):
    together = free_samples(context.base, [3, 4], 2, context.lock)
    assert together.shape == (2, 3, 16, 16) and together.abs().max() <= 1
    alone = free_samples(context.base, [4], 2, context.lock)
    # Untrained networks amplify rounding, a hundredfold from t = 999.
    assert torch.allclose(together[1:], alone, atol=0.05) and not torch.allclose(together[:1], alone, atol=0.5)


@pytest.mark.long
def test_samples_and_saves_come_in_time(context, images):
    events, edit = run(context, request(images, sample_every=2))
    samples = [event for event in events if event.phase == "sample"]
    assert [event.step for event in samples] == [2, 4] and samples[0].images.shape == (4, 3, 16, 16)
    assert edit.card.metrics == samples[-1].numbers and edit.card.metrics["perceptual_to_source"] > 0
    assert context.checkpoints.steps == [2, 4, 4]


@pytest.mark.long
@pytest.mark.parametrize("method", ["sdft", "domainstudio"])
def test_the_edit_is_a_file_of_this_base(context, images, method, tmp_path):
    _, edit = run(context, request(images, method))
    card = edit.card
    assert (card.name, card.method, card.seed, card.base_fingerprint) == ("paintings", method, 7, context.base.fingerprint)
    assert CLASSES[method](**card.settings) == request(images, method).settings
    save_edit(tmp_path / "edit.safetensors", edit, context.base.state_dict(), "full")
    loaded = load_edit(tmp_path / "edit.safetensors", context.base.state_dict())
    assert all(torch.equal(loaded.weights[name], value) for name, value in edit.weights.items())


def test_what_is_missing_is_a_sentence(context, images):
    with pytest.raises(ShiftlabError, match="no target images"):
        run(context, request(images[:0]))
    with pytest.raises(ShiftlabError, match="needs 3 at a time"):
        run(context, request(images[:2], "domainstudio"))
    with pytest.raises(ShiftlabError, match="no longer a number"):
        run(context, request(torch.full_like(images, float("nan"))))


def test_the_work_counts_calls():
    settings = SDFTTune(steps=100, batch_size=4, sample_every=50, sample_steps=10)
    work = METHODS["sdft"].work(settings, 50, 4)
    assert (work.learning, work.inference, work.held, work.updates) == (800, 800 + 3 * 4 * 10, 8, 100)
    naive = METHODS["sdft"].work(settings.model_copy(update={"lambda_d": 0, "lambda_a": 0}), 50, 4)
    assert (naive.learning, naive.inference) == (400, 120)
    studio = METHODS["domainstudio"].work(DomainStudioTune(steps=100, batch_size=4, sample_every=50, sample_steps=10), 10, 4)
    assert (studio.learning, studio.inference) == (400, 520)
