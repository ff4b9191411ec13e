"""t_edit and t_boost: read from a curve as the paper says, measured once for each base, and what is said where they cannot be."""

import copy

import pytest
import torch

from core.data.measured import MeasuredStore
from core.methods.asyrp_steps import LPIPS_OF_NOISE, Curves, PerceptualCurve, prompt_similarity
from core.metrics.perceptual import perceptual_of_identity
from core.models.identity import Identity
from core.types import ShiftlabError
from tests.methods.conftest import SHORT, short_curve
from tests.tiny import drained

CURVE = PerceptualCurve((0, 200, 400, 600, 800), (0.0, 0.1, 0.2, 0.3, 0.4), (0.1, 0.9, 1.2, 1.3, 1.35), "by hand")


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    short_curve(monkeypatch)


def test_the_smallest_timestep_that_reaches_the_threshold():
    assert CURVE.t_edit(similarity=0.9) == 600  # 0.33 · 0.9 = 0.297
    assert CURVE.t_edit(similarity=0.6) == 400
    assert CURVE.t_edit(similarity=0.9, threshold=0.2) == 400
    assert CURVE.t_boost() == 400
    assert CURVE.t_boost(1.0) == 400


def test_a_curve_that_stays_below():
    assert CURVE.t_edit(similarity=1.0, threshold=2.0) == 800
    assert CURVE.t_boost(2.0) == 0


def test_measured_on_the_bases_own_pictures_and_only_once(context):
    curves, calls = Curves(), []
    hook = context.base.unet.conv_in.register_forward_hook(lambda _, given, out: calls.append(len(out)))
    events, curve = drained(curves.of(context))
    again_events, again = drained(curves.of(context))
    hook.remove()
    pictures, steps = SHORT
    assert calls == [pictures] * steps and [event.step for event in events] == list(range(1, steps + 1))
    assert again is curve and not again_events
    assert curve.timesteps[0] == 0 and curve.timesteps[-1] == 999 and len(curve.predicted) == len(curve.noised) == steps
    assert curve.noised[-1] == pytest.approx(LPIPS_OF_NOISE) and curve.extractor == context.perceptual.name
    assert curve == drained(Curves().of(context))[1]


@pytest.mark.long
def test_what_an_earlier_session_measured_is_found_again(context, tmp_path):
    context.measured = MeasuredStore(tmp_path)
    _, curve = drained(Curves().of(context))
    events, again = drained(Curves().of(context))
    assert again == curve and not events
    for path in tmp_path.iterdir():
        path.write_text("{")
    events, again = drained(Curves().of(context))
    assert again == curve and events, "a damaged file is measured anew"


@pytest.mark.long
def test_another_base_has_another_curve(context):
    curves = Curves()
    _, first = drained(curves.of(context))
    context.base = context.base.tuned({name: value * 1.1 for name, value in context.base.state_dict().items()})
    assert drained(curves.of(context))[1] != first


@pytest.mark.long
def test_another_encoder_of_the_same_name_has_another_curve(context, tmp_path):
    context.measured = MeasuredStore(tmp_path)
    _, first = drained(Curves().of(context))
    network = copy.deepcopy(context.identity.model)
    with torch.no_grad():
        for weights in network.parameters():
            weights.add_(0.1 * torch.randn(weights.shape, generator=torch.Generator().manual_seed(0)))
    newer = Identity(network, name=context.identity.name, image_size=context.identity.image_size)
    context.perceptual = perceptual_of_identity(newer)
    events, second = drained(Curves().of(context))
    assert events and second.extractor == first.extractor and second.predicted != first.predicted


def test_the_similarity_of_prompts_is_a_cosine_and_never_negative(context):
    assert prompt_similarity("a cat", "a cat", context) == pytest.approx(1.0, abs=1e-5)
    embeddings = context.clip.encode_text(["a cat", "a photo of a dog"])
    assert prompt_similarity("a cat", " a photo of a dog", context) == max(0.0, float(embeddings[0] @ embeddings[1]))
    context.clip.encode_text = lambda texts: torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    try:
        assert prompt_similarity("a", "b", context) == 0.0
    finally:
        del context.clip.encode_text


def test_without_models_it_is_a_sentence(context):
    context.perceptual = None
    with pytest.raises(ShiftlabError, match="t_edit and t_boost"):
        drained(Curves().of(context))
    context.clip = None
    with pytest.raises(ShiftlabError, match="set t_edit yourself"):
        prompt_similarity("a", "b", context)
