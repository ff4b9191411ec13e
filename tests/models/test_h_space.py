"""The two halves of a network: together they are the network, for every family; the encoder walks once however many h are decoded."""

import pytest
import torch
from diffusers import UNet2DModel

from core.models.base import Base
from core.models.h_space import HSpace
from core.models.mapping import DDPMConfig, GuidedConfig, ddpm_unet_config, guided_unet_config
from core.types import ShiftlabError
from tests.tiny import tiny_unet

X = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
T = torch.tensor([700, 20])
NETWORKS = {
    "embedded": lambda: tiny_unet(),
    "ddpm": lambda: UNet2DModel(**ddpm_unet_config(DDPMConfig(32, (1, 2), 1, (8,), 16))),
    "guided": lambda: UNet2DModel(**guided_unet_config(GuidedConfig(32, (1, 2), 1, (2,), 32, 16))),
}


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("network", NETWORKS)
@torch.no_grad()
def test_both_halves_are_the_network(network, prediction):
    torch.manual_seed(1)
    base = Base(NETWORKS[network](), prediction=prediction)
    space = HSpace(base)
    halfway = space.encode(X, T)
    assert halfway.h.shape[1] == space.channels and halfway.emb.shape == (2, space.embedding)
    eps = base.eps(X, T)
    assert torch.equal(space.decode(halfway, halfway.h)[0], eps)
    other, same = space.decode(halfway, halfway.h + 1.0, halfway.h)
    assert (same - eps).abs().max() < 3e-6 * eps.abs().max()
    assert (other - space.decode(halfway, halfway.h + 1.0)[0]).abs().max() < 3e-6 * other.abs().max()
    assert (other - eps).abs().max() > 1e-3


@torch.no_grad()
def test_a_part_decodes_as_in_the_whole():
    space = HSpace(Base(tiny_unet()))
    halfway = space.encode(X, T)
    whole, part = space.decode(halfway, halfway.h)[0], halfway.part(1, 2)
    assert torch.allclose(space.decode(part, part.h)[0], whole[1:], atol=1e-5)


def test_gradients_flow_to_h_and_not_to_the_weights():
    base = Base(tiny_unet())
    space = HSpace(base)
    halfway = space.encode(X, T)
    h = halfway.h.clone().requires_grad_(True)
    space.decode(halfway, h)[0].sum().backward()
    assert h.grad.abs().sum() > 0 and all(weight.grad is None for weight in base.unet.parameters())


@torch.no_grad()
def test_autocast_is_the_bases_own():
    base = Base(tiny_unet(), dtype=torch.bfloat16)
    halfway = HSpace(base).encode(X, T)
    eps = HSpace(base).decode(halfway, halfway.h)[0]
    assert halfway.h.dtype == eps.dtype == torch.float32
    assert (eps - base.eps(X, T)).abs().max() < 0.05 * eps.abs().max()


def test_a_network_that_cannot_be_cut_is_a_sentence():
    blocks = {"down_block_types": ("SkipDownBlock2D", "DownBlock2D"), "up_block_types": ("UpBlock2D", "SkipUpBlock2D")}
    unet = UNet2DModel(sample_size=16, block_out_channels=(32, 32), layers_per_block=1, **blocks)
    with pytest.raises(ShiftlabError, match="from block to block"):
        HSpace(Base(unet))
    with pytest.raises(ShiftlabError, match="no middle"):
        HSpace(Base(UNet2DModel(**{**tiny_unet().config, "class_embed_type": None, "num_class_embeds": 3})))
