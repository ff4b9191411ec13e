"""Perturbed-attention guidance: what it computes, that it shares the weights, and what it says where there is nothing to perturb."""

import pytest
import torch
from diffusers import UNet2DModel
from diffusers.models.attention_processor import Attention

from core.models.attention import guided, in_pairs
from core.models.base import Base
from core.types import ShiftlabError
from tests.tiny import tiny_unet

X = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
T = torch.tensor([10, 400, 700])


class SeesItselfAlone:
    """Self-attention whose map is the identity, written out: what the guidance steps away from."""

    def __call__(self, attn, hidden_states, *_, **__):
        b, c, h, w = hidden_states.shape
        values = attn.to_v(attn.group_norm(hidden_states.view(b, c, h * w)).transpose(1, 2))
        out = attn.to_out[0](values).transpose(1, 2).reshape(b, c, h, w)
        return (out + hidden_states if attn.residual_connection else out) / attn.rescale_output_factor


def attentions(unet):
    return [module for module in unet.modules() if isinstance(module, Attention)]


def without_attention() -> UNet2DModel:
    blocks = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}
    return UNet2DModel(sample_size=16, block_out_channels=(32, 32), layers_per_block=1, norm_num_groups=8, add_attention=False, **blocks)


@pytest.fixture
def base():
    base = Base(tiny_unet())
    for attention in attentions(base.unet):  # as it is initialised, its map is all but even
        torch.nn.init.normal_(attention.to_q.weight)
        torch.nn.init.normal_(attention.to_k.weight)
    return base


def test_it_steps_away_from_the_network_without_attention(base):
    perturbed = tiny_unet().eval().requires_grad_(False)
    perturbed.load_state_dict(base.state_dict())
    for attention in attentions(perturbed):
        attention.set_processor(SeesItselfAlone())
    plain, without = base.eps(X, T), Base(perturbed).eps(X, T)
    assert (plain - without).abs().max() > 1e-3
    torch.testing.assert_close(base.guided(0.7)(X, T), plain + 0.7 * (plain - without), atol=1e-5, rtol=1e-4)


def test_scale_nought_is_the_network_itself(base):
    assert torch.equal(base.guided(0.0)(X, T), base.eps(X, T))
    torch.testing.assert_close(base.guided(1e-6)(X, T), base.eps(X, T), atol=1e-4, rtol=1e-4)


def test_the_network_itself_goes_on_as_before(base):
    before = base.eps(X, T)
    base.guided(2.0)(X, T)
    assert torch.equal(base.eps(X, T), before)


def test_every_item_is_guided_by_itself(base):
    together = base.guided(1.0)(X, T)
    alone = torch.cat([base.guided(1.0)(X[i : i + 1], T[i : i + 1]) for i in range(len(X))])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_it_learns_with_the_network_whose_weights_it_shares():
    unet = tiny_unet()
    twin = in_pairs(unet)
    before = twin(torch.cat([X, X]), 10).sample
    with torch.no_grad():
        next(unet.parameters()).mul_(1.5)
    assert not torch.allclose(twin(torch.cat([X, X]), 10).sample, before)
    assert all(one is other for one, other in zip(unet.parameters(), twin.parameters(), strict=True))


def test_the_pairs_of_a_learned_sigma_network_are_guided_in_eps():
    base = Base(tiny_unet(out_channels=6))
    assert base.guided(0.5)(X, T).shape == X.shape


def test_a_velocity_is_read_before_it_is_guided():
    base = Base(tiny_unet(), prediction="v_prediction")

    def pairs(x, t):
        return base.read(in_pairs(base.unet)(x, t).sample, x, t)[0]

    torch.testing.assert_close(base.guided(0.5)(X, T), guided(pairs, 0.5)(X, T), atol=1e-5, rtol=1e-4)


def test_a_base_without_attention_is_a_sentence_only_where_guidance_is_asked_for():
    base = Base(without_attention())
    assert torch.equal(base.guided(0.0)(X, T), base.eps(X, T))
    with pytest.raises(ShiftlabError, match="no attention to guide with"):
        base.guided(0.5)
