"""The way of an image through Asyrp: the asymmetric step by hand, network calls, strengths, strips, combinations, mean Δh, refusals."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from core.data.trajectories import TrajectoryStore
from core.methods import METHODS
from core.methods.asyrp_block import new_block
from core.methods.asyrp_settings import AsyrpEdit
from core.methods.asyrp_shift import MEAN, TIMESTEPS, Shift, asymmetric_step, delta_of, of_block
from core.models.h_space import HSpace
from core.process.sampling import generate, invert, last
from core.process.timesteps import paper_timesteps
from core.types import Context, Edit, EditCard, EditRequest, EditResult, ShiftlabError, Stopped
from tests.methods.conftest import random_edit, short_curve

METHOD = METHODS["asyrp"]
FAST = {"return_step": 900, "generation_steps": 4, "grid": "paper", "inversion_steps": 4, "t_edit": 500, "t_boost": 0}


def run(context: Context, images, *edits, seed: int = 3, **settings) -> EditResult:
    request = EditRequest(images, AsyrpEdit(**{**FAST, **settings}), edits, seed)
    *_, result = METHOD.edit(request, context)
    return result


def shift_edit(base, seed: int, name: str = "smile", **card) -> Edit:
    """A random delta block with a mean Δh, as a training leaves them."""
    space = HSpace(base)
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(3, space.channels, 8, 8, generator=generator)
    weights = {**new_block(space, seed).state_dict(), MEAN: mean, TIMESTEPS: torch.tensor([500.0, 700.0, 900.0])}
    prompts = {"reference_prompt": "a photo of a serious person", "target_prompt": "a photo of a smiling person"}
    return Edit(EditCard(name=name, method="asyrp", weights="own", base_fingerprint=base.fingerprint, **prompts, **card), weights)


@pytest.fixture
def smile(models):
    return shift_edit(models["base"], 1)


@pytest.fixture
def hat(models):
    return shift_edit(models["base"], 2, "hat")


class Calls:
    """How often the first layer of the encoder and the last of the decoder are called, and with how many items."""

    def __init__(self, base) -> None:
        self.encoder, self.decoder = [], []
        self._hooks = [
            base.unet.conv_in.register_forward_hook(lambda _, given, out: self.encoder.append(len(out))),
            base.unet.conv_out.register_forward_hook(lambda _, given, out: self.decoder.append(len(out))),
        ]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for hook in self._hooks:
            hook.remove()


@torch.no_grad()
def test_the_asymmetric_step_by_hand(context, images):
    """P from ε̃, D from ε, with h reached by a hook on the middle block instead of by two halves."""
    base, space = context.base, HSpace(context.base)
    block = new_block(space, 4)
    t = torch.full((3,), 700)
    emb = base.unet.time_embedding(base.unet.time_proj(t))
    eps = base.eps(images, t)
    hook = base.unet.mid_block.register_forward_hook(lambda _, given, h: h - 0.6 * block(h, emb))
    edited = base.eps(images, t)
    hook.remove()
    a, b = base.schedule.alpha_bar[700], base.schedule.alpha_bar[650]
    expected = b.sqrt() * (images - (1 - a).sqrt() * edited) / a.sqrt() + (1 - b).sqrt() * eps
    ours = asymmetric_step(space, [Shift(of_block(block), -0.6, 500)], images, 700, 650)
    assert (ours - expected).abs().max() < 1e-5 * expected.abs().max()


@torch.no_grad()
def test_the_delta_block_by_hand(models):
    space = HSpace(models["base"])
    block, w = new_block(space, 5), new_block(space, 5).state_dict()
    h, emb = torch.randn(2, space.channels, 8, 8), torch.randn(2, space.embedding)
    inner = torch.einsum("oi,bihw->bohw", w["conv1.weight"][:, :, 0, 0], h) + w["conv1.bias"][:, None, None]
    inner = inner + (emb.sigmoid() * emb @ w["temb_proj.weight"].T + w["temb_proj.bias"])[:, :, None, None]
    inner = F.silu(F.group_norm(inner, block.norm2.num_groups, w["norm2.weight"], w["norm2.bias"], 1e-6))
    expected = torch.einsum("oi,bihw->bohw", w["conv2.weight"][:, :, 0, 0], inner) + w["conv2.bias"][:, None, None]
    assert torch.allclose(block(h, emb), expected, atol=1e-5)


def test_one_pass_of_the_encoder_and_one_batched_of_the_decoder(context, images, smile):
    context.store = None
    latent = torch.randn_like(images)
    space = HSpace(context.base)
    shift = Shift(of_block(new_block(space, 1)), 1.0, 500)
    with torch.no_grad(), Calls(context.base) as above:
        asymmetric_step(space, [shift, shift], latent, 700, 650)
    assert (above.encoder, above.decoder) == ([3], [6])
    with torch.no_grad(), Calls(context.base) as below:
        asymmetric_step(space, [shift], latent, 499, 400)
    assert (below.encoder, below.decoder) == ([3], [3])


@pytest.mark.long
def test_strength_zero_and_no_edit_are_the_plain_reconstruction(context, images, smile):
    base = context.base
    latent = last(invert(base.eps, images, paper_timesteps(4, 900), base.schedule))
    plain = last(generate(base.eps, latent, paper_timesteps(4, 900), base.schedule)).clamp(-1, 1)
    assert torch.equal(run(context, images).images, plain)
    assert torch.equal(run(context, images, smile, strength=0.0).images, plain)
    assert not torch.allclose(run(context, images, smile, strength=1.0).images, plain, atol=1e-3)


@pytest.mark.long
def test_strength_below_zero_is_another_direction(context, images, smile):
    plain, more, less = (run(context, images, smile, strength=c).images for c in (0.0, 0.05, -0.05))
    there, back = (more - plain).flatten(1), (less - plain).flatten(1)
    assert (F.cosine_similarity(there, back) < -0.5).all()


@pytest.mark.long
def test_a_strip_is_its_single_edits_from_one_inversion(context, images, smile):
    strengths = [-1.0, 0.0, 0.5]
    request = EditRequest(images, AsyrpEdit(**{**FAST, "t_boost": 400}), (smile,), 3)
    with Calls(context.base) as calls:
        events = list(METHOD.strip(request, strengths, context))
    results = [event for event in events if isinstance(event, EditResult)]
    singles = [run(context, images, smile, strength=c, t_boost=400).images for c in strengths]
    assert all(torch.equal(result.images, single) for result, single in zip(results, singles, strict=True))
    assert len(calls.encoder) == 3 + 3 * 4  # one inversion, three generations
    assert [event.step for event in events if not isinstance(event, EditResult) and event.phase == "generate"] == list(range(1, 13))
    assert [result.timing["cached"] for result in results] == [0.0, 1.0, 1.0]


def test_the_strength_renders_anew_from_the_kept_trajectory(context, images, smile, tmp_path):
    context.store = TrajectoryStore(tmp_path)
    first = run(context, images, smile)
    again = run(context, images, smile, strength=-0.4)
    assert (first.timing["cached"], again.timing["cached"]) == (0.0, 1.0)


@pytest.mark.long
def test_several_edits_share_by_the_root_of_their_number(context, images, smile, hat):
    both = run(context, images, smile, hat).images
    root = 0.5**0.5
    assert torch.allclose(both, run(context, images, smile, hat, strengths=[root, root]).images, atol=1e-6)
    assert torch.allclose(run(context, images, smile, hat, strengths=[1.0, 0.0]).images, run(context, images, smile).images, atol=1e-5)
    with pytest.raises(ShiftlabError, match="each of the 2 edits"):
        run(context, images, smile, hat, strengths=[1.0])


@pytest.mark.long
def test_fewer_steps_shift_more_each(context, images):
    trained = shift_edit(context.base, 1, settings={"training_steps": 8})
    rescaled = run(context, images, trained).images
    assert torch.allclose(rescaled, run(context, images, trained, strength=2.0, rescale=False).images, atol=1e-5)
    assert torch.equal(run(context, images, shift_edit(context.base, 1)).images, run(context, images, trained, rescale=False).images)


@pytest.mark.long
def test_mean_and_global_directions_are_added_to_h(context, images, smile):
    space = HSpace(context.base)
    mean, latent = smile.weights[MEAN], torch.randn_like(images)
    for direction, expected in (("mean", mean[1]), ("global", mean.mean(dim=0))):
        step = asymmetric_step(space, [Shift(delta_of(smile, direction, space), 0.5, 500)], latent, 690, 600)
        assert torch.allclose(step, asymmetric_step(space, [Shift(lambda _, d=expected: d, 0.5, 500)], latent, 690, 600))
    plain = run(context, images, smile, strength=0.0).images
    assert not torch.allclose(run(context, images, smile, direction="mean").images, plain, atol=1e-3)


def test_the_mean_of_an_edit_that_came_without(context, images, smile):
    bare = dataclasses.replace(smile, weights={name: value for name, value in smile.weights.items() if "mean." not in name})
    with pytest.raises(ShiftlabError, match="brings no mean"):
        run(context, images, bare, direction="global")
    *_, averaged = METHOD.average(bare, images, AsyrpEdit(**FAST), context)
    assert averaged.weights[TIMESTEPS].tolist() == [600.0, 900.0]
    space = HSpace(context.base)
    latent = last(invert(context.base.eps, images, paper_timesteps(4, 900), context.base.schedule))
    with torch.no_grad():
        halfway = space.encode(latent, torch.full((3,), 900))
        block = new_block(space, 1)
        assert torch.allclose(averaged.weights[MEAN][1], block(halfway.h, halfway.emb).mean(dim=0), atol=1e-5)
    run(context, images, averaged, direction="mean")


@pytest.mark.long
def test_boosting_is_random_below_t_boost_and_each_item_has_its_own_noise(context, images, smile):
    boosted = run(context, images, smile, t_boost=400).images
    assert torch.equal(boosted, run(context, images, smile, t_boost=400).images)
    assert not torch.allclose(boosted, run(context, images, smile, t_boost=400, seed=4).images, atol=1e-3)
    alone = run(context, images[1:2], smile, t_boost=400, seed=4).images
    assert torch.allclose(boosted[1:2], alone, atol=2e-3)  # a random network at high noise magnifies rounding


@pytest.mark.long
def test_where_to_edit_is_the_cards_unless_the_settings_say(context, images):
    trained = shift_edit(context.base, 1, metrics={"t_edit": 800.0, "t_boost": 0.0})
    as_trained = run(context, images, trained, t_edit=None, t_boost=None).images
    assert torch.equal(as_trained, run(context, images, trained, t_edit=800).images)
    assert not torch.allclose(as_trained, run(context, images, trained, t_edit=100).images, atol=1e-3)


@pytest.mark.long
def test_an_edit_of_unknown_interval_is_measured_by_its_prompts(context, images, smile, monkeypatch):
    short_curve(monkeypatch)
    run(context, images, smile, t_edit=None, t_boost=None)
    unnamed = Edit(smile.card.model_copy(update={"target_prompt": ""}), smile.weights)
    with pytest.raises(ShiftlabError, match="names no prompts"):
        run(context, images, unnamed, t_edit=None)
    run(context, images, unnamed, t_edit=None, target_prompt="a photo of a smiling person")


def test_a_return_step_below_the_interval_is_a_sentence(context, images, smile):
    with pytest.raises(ShiftlabError, match="shifts nothing below t = 500"):
        run(context, images, smile, return_step=301)


def test_scores_are_there(context, images, smile):
    result = run(context, images, smile)
    assert len(result.scores) == 3 and set(result.scores[0]) == {"psnr", "s_dir", "identity", "perceptual"}
    assert result.images.abs().max() <= 1.0


def test_edits_that_do_not_fit_are_sentences(context, images, smile):
    with pytest.raises(ShiftlabError, match="belongs to the base"):
        run(context, images, Edit(smile.card.model_copy(update={"base_fingerprint": "0"}), smile.weights))
    with pytest.raises(ShiftlabError, match="holds no delta block"):
        run(context, images, random_edit(context.base, 1))
    narrow = {name: value for name, value in new_block(_Narrow(context.base), 1).state_dict().items()}
    with pytest.raises(ShiftlabError, match="shifts 64 channels"):
        run(context, images, Edit(smile.card, narrow))


class _Narrow(HSpace):
    def __init__(self, base) -> None:
        super().__init__(base)
        self.channels = 64


def test_stopping(context, images, smile):
    context.should_stop = lambda: True
    with pytest.raises(Stopped):
        run(context, images, smile)
