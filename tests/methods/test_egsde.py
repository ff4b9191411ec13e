"""EGSDE: the guided walk written out, its classifier's training (resumed to the bit), and what is refused."""

import math

import pytest
import torch

from core.data.checkpoints import FolderCheckpoints
from core.data.edits import load_edit, save_edit
from core.methods import METHODS
from core.methods.domain_classifier import classifier_for, classifier_of
from core.methods.egsde import EGSDESettings
from core.methods.egsde_energy import Energy
from core.methods.egsde_train import EGSDETune
from core.methods.low_pass import LowPass
from core.process.ddim import add_noise
from core.process.noise import ItemNoise
from core.process.sampling import batch_t
from core.types import Context, Edit, EditCard, EditRequest, EditResult, ShiftlabError, StepEvent, Stopped, TrainRequest
from tests.methods.conftest import Memory, random_edit
from tests.tiny import IMAGE_SIZE

METHOD = METHODS["egsde"]
FAST = {"return_step": 20, "generation_steps": 20, "low_pass": 4}
TUNE = {"iterations": 6, "batch_size": 4, "width": 8}


def run(context: Context, images, *edits, seed: int = 3, **settings) -> EditResult:
    *_, result = METHOD.edit(EditRequest(images, EGSDESettings(**{**FAST, **settings}), edits, seed), context)
    return result


@pytest.fixture
def painting(models):
    return random_edit(models["base"], 1, "painting")


@pytest.fixture
def experts(models) -> Edit:
    torch.manual_seed(0)
    weights = classifier_for(IMAGE_SIZE, 8).state_dict()
    return Edit(EditCard(name="experts", method="egsde", base_fingerprint=models["base"].fingerprint, weights="own"), weights)


@pytest.mark.long
def test_the_guided_walk_by_hand(context, images, painting, experts):
    """All M steps: the posterior mean with fixed small variance (DDPM, eq. 7), the energy's gradient by autograd."""
    schedule, tuned = context.base.schedule, context.base.tuned(painting.weights)
    classifier, low_pass, noise = classifier_of(experts), LowPass(IMAGE_SIZE, 4), ItemNoise([3, 4, 5])
    y = add_noise(images, 19, noise.normal(images.shape[1:]), schedule)
    for t in reversed(range(20)):
        beta, before, now = schedule.betas[t].float(), schedule.alpha_bar_at(t - 1), schedule.alpha_bar_at(t)
        z, x_t = noise.normal(images.shape[1:]), add_noise(images, t, noise.normal(images.shape[1:]), schedule)
        with torch.no_grad():
            mean = (y - beta / (1 - now).sqrt() * tuned.eps(y, batch_t(t, y))) / (1 - beta).sqrt()
        y = y.detach().requires_grad_(True)
        a, b = classifier.features(y, batch_t(t, y)), classifier.features(x_t, batch_t(t, y))
        alike = ((a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))).mean((1, 2)).sum()
        (gradient,) = torch.autograd.grad(5000 * alike + 20 * (low_pass(y) - low_pass(x_t)).pow(2).sum(), y)
        y = (mean + (beta * (1 - before) / (1 - now)).sqrt() * z - beta / (1 - beta).sqrt() * gradient).detach()
    result = run(context, images, experts, painting, lambda_s=5000, lambda_i=20).images
    assert torch.allclose(result, y.clamp(-1, 1), atol=2e-3)
    assert not torch.allclose(run(context, images, experts, painting, lambda_s=0, lambda_i=0).images, result, atol=0.02)


@pytest.mark.long
def test_faithfulness_keeps_the_coarse_content_and_realism_leaves_the_source_features(context, images, painting, experts):
    low_pass = LowPass(IMAGE_SIZE, 4)
    far = {"return_step": 200, "generation_steps": 20}
    free = run(context, images, painting, lambda_s=0, lambda_i=0, **far).images
    faithful = run(context, images, painting, lambda_s=0, lambda_i=20, **far).images
    assert low_pass(faithful - images).square().sum() < 0.8 * low_pass(free - images).square().sum()
    energy = Energy(classifier_of(experts).features, None, 1.0, 0.0)
    y, x_t = images.roll(1, 0), images
    pushed = y + energy.push(y, x_t, 300, 200, context.base.schedule)
    assert (energy(pushed, x_t, 300) < energy(y, x_t, 300)).all()


@pytest.mark.long
def test_a_batch_equals_its_members_alone(context, images, painting, experts):
    settings = {"lambda_s": 50, "generation_steps": 5}
    together = run(context, images, painting, experts, **settings)
    alone = [run(context, images[i : i + 1], painting, experts, seed=3 + i, **settings) for i in range(len(images))]
    assert torch.allclose(together.images, torch.cat([result.images for result in alone]), atol=1e-3)


def test_events_and_scores(context, images, experts):
    *events, result = METHOD.edit(EditRequest(images, EGSDESettings(**{**FAST, "generation_steps": 3}), (experts,)), context)
    assert [(event.phase, event.step, event.total) for event in events] == [("generate", i, 3) for i in (1, 2, 3)]
    assert torch.equal(events[-1].images, result.images) and {"identity", "psnr"} <= set(result.scores[0])


@pytest.mark.long
def test_without_realism_no_classifier_is_needed(context, images):
    with pytest.raises(ShiftlabError, match="one domain classifier, and none is chosen"):
        run(context, images)
    assert run(context, images, lambda_s=0).images.shape == images.shape


def test_refusals(context, images, experts, painting):
    with pytest.raises(ShiftlabError, match="one domain classifier, and 2"):
        run(context, images, experts, experts)
    with pytest.raises(ShiftlabError, match="'painting', 'painting'"):
        run(context, images, experts, painting, painting)
    with pytest.raises(ShiftlabError, match="factor of 5 does not divide"):
        run(context, images, experts, low_pass=5)
    with pytest.raises(ShiftlabError, match="no domain classifier"):
        run(context, images, Edit(experts.card, {"other": torch.zeros(1)}))


# ---- training


def request(images, target=True, **settings) -> TrainRequest:
    return TrainRequest(images, EGSDETune(**{**TUNE, **settings}), "experts", seed=7, target_images=-images if target else None)


def train(context: Context, request: TrainRequest) -> tuple[list[StepEvent], Edit]:
    *events, edit = METHOD.train(request, context)
    return events, edit


@pytest.mark.long
def test_the_classifier_learns_to_tell_bright_from_dark_under_noise(context):
    bright = torch.rand(16, 3, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(1)) * 0.5 + 0.4
    events, edit = train(context, request(bright, iterations=60, batch_size=16, learning_rate=3e-3))
    assert [event.step for event in events] == list(range(1, 61)) and set(events[0].numbers) == {"loss", "accuracy"}
    assert events[0].numbers["loss"] == pytest.approx(math.log(2), abs=0.2)
    assert edit.card.weights == "own" and edit.card.method == "egsde" and edit.card.base_fingerprint == context.base.fingerprint
    assert edit.card.metrics["accuracy_t100"] == edit.card.metrics["accuracy_t300"] == 1.0
    assert edit.card.settings["width"] == 8 and "diffusers" in edit.card.versions


@pytest.mark.long
def test_a_saved_classifier_is_used_as_it_was_trained(context, images, tmp_path):
    _, edit = train(context, request(images))
    save_edit(tmp_path / "experts.safetensors", edit, context.base.state_dict())
    loaded = load_edit(tmp_path / "experts.safetensors", context.base.state_dict())
    settings = {"generation_steps": 3, "lambda_i": 0}
    assert torch.equal(run(context, images, loaded, **settings).images, run(context, images, edit, **settings).images)


def test_stopped_and_resumed_equals_uninterrupted_to_the_bit(context, images, tmp_path):
    _, whole = train(context, request(images))
    context.checkpoints, updates = FolderCheckpoints(tmp_path), []
    context.should_stop = lambda: len(updates) >= 3
    with pytest.raises(Stopped):
        for event in METHOD.train(request(images), context):
            updates.append(event.step)
    context.should_stop = lambda: False
    events, resumed = train(context, request(images))
    assert (updates, [event.step for event in events]) == ([1, 2, 3], [4, 5, 6])
    assert all(torch.equal(whole.weights[name], resumed.weights[name]) for name in whole.weights)


def test_save_now(context, images):
    context.checkpoints, asked = Memory(), iter([False, True])
    context.save_now = lambda: next(asked, False)
    train(context, request(images))
    assert context.checkpoints.steps == [2, 6]


def test_a_loss_that_is_no_number_is_a_sentence(context, images):
    with pytest.raises(ShiftlabError, match="no longer a number"):
        train(context, request(torch.full_like(images, float("nan"))))


def test_both_sets_are_needed(context, images):
    for lacking in (request(images, target=False), request(images[:1])):
        with pytest.raises(ShiftlabError, match="two of each"):
            train(context, lacking)


def test_work_counts_the_classifier_in_calls_of_the_base():
    work = METHOD.work(EGSDETune(iterations=100, batch_size=32), images=10, samples=4)
    assert (work.inference, work.updates) == (0, 0) and 0 < work.learning <= 3200


def test_the_classifier_is_sized_to_the_image():
    for size, places in ((16, 8), (64, 8), (256, 8)):
        features = classifier_for(size, 8).features(torch.zeros(1, 3, size, size), torch.zeros(1, dtype=torch.long))
        assert features.shape[2:] == (places, places)
