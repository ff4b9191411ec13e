"""The key mapping against the architectures written down a second time, over several shapes; the way back; what is refused."""

import pytest
import torch
from diffusers import UNet2DModel

from core.models.base import Base
from core.models.mapping import (
    DDPMConfig,
    GuidedConfig,
    ddpm_from_diffusers,
    ddpm_to_diffusers,
    ddpm_unet_config,
    guided_from_diffusers,
    guided_to_diffusers,
    guided_unet_config,
)
from core.models.unet_folder import load_weights
from core.types import ShiftlabError
from tests.models import reference_unets
from tests.models.random_checkpoints import random_ddpm, random_guided

X = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
T = torch.tensor([3, 812])
SMALL = {"image_size": 16}
DDPM = [
    DDPMConfig(32, (1, 2), 1, (8,), **SMALL),
    DDPMConfig(32, (1, 1, 2), 2, (8, 4), **SMALL),
    DDPMConfig(32, (1, 2, 2), 1, (16,), **SMALL),
    DDPMConfig(64, (1, 1), 1, (), **SMALL),
]
GUIDED = [
    GuidedConfig(32, (1, 2), 1, (2,), 32, **SMALL),
    GuidedConfig(32, (1, 2, 2), 2, (2, 4), 16, **SMALL),
    GuidedConfig(32, (1, 1, 2), 1, (1, 4), 32, out_channels=3, **SMALL),
    GuidedConfig(32, (1, 2), 1, (2,), 32, resblock_updown=False, **SMALL),
    GuidedConfig(64, (1, 2), 1, (), 64, use_scale_shift_norm=False, **SMALL),
]


def relative_error(arguments, weights, expected):
    unet = UNet2DModel(**arguments).eval()
    load_weights(unet, weights)
    with torch.no_grad():
        return ((unet(X, T).sample - expected).abs().max() / expected.abs().max()).item()


@pytest.mark.long
@pytest.mark.parametrize("config", DDPM)
def test_ddpm_equals_its_architecture(config):
    checkpoint = random_ddpm(config)
    assert relative_error(*ddpm_to_diffusers(checkpoint, config), reference_unets.ddpm(checkpoint, config, X, T)) < 1e-5


@pytest.mark.parametrize("config", GUIDED)
def test_guided_equals_its_architecture(config):
    checkpoint = random_guided(config)
    assert relative_error(*guided_to_diffusers(checkpoint, config), reference_unets.guided(checkpoint, config, X, T)) < 1e-5


@pytest.mark.parametrize(
    ("trap", "value"),
    [("freq_shift", 0), ("flip_sin_to_cos", True), ("downsample_padding", 1), ("attention_head_dim", 8), ("norm_eps", 1e-3)],
)
def test_every_trap_of_the_ddpm_type_is_seen_by_the_comparison(trap, value):
    config, checkpoint = DDPM[0], random_ddpm(DDPM[0])
    arguments, weights = ddpm_to_diffusers(checkpoint, config)
    assert relative_error({**arguments, trap: value}, weights, reference_unets.ddpm(checkpoint, config, X, T)) > 1e-5


@pytest.mark.long
def test_the_order_of_heads_is_seen_by_the_comparison():
    config, checkpoint = GUIDED[1], random_guided(GUIDED[1])
    arguments, weights = guided_to_diffusers(checkpoint, config)
    thirds = {f"to_{letter}": slice(32 * 2 * i, 32 * 2 * (i + 1)) for i, letter in enumerate("qkv")}
    for name in [name for name in weights if any(f".{third}." in name for third in thirds)]:
        prefix, third, parameter = name.rsplit(".", 2)
        ours = prefix.replace("mid_block.attentions.0", "middle_block.1")
        if ours != prefix:  # the middle attention, cut in the order of newer models
            weights[name] = checkpoint[f"{ours}.qkv.{parameter}"][thirds[third]].squeeze(-1)
    assert relative_error(arguments, weights, reference_unets.guided(checkpoint, config, X, T)) > 1e-3


@pytest.mark.parametrize(
    ("arguments", "parameters"), [(ddpm_unet_config(DDPMConfig()), 113_673_219), (guided_unet_config(GuidedConfig()), 93_563_910)]
)
def test_the_defaults_are_the_published_models(arguments, parameters):
    with torch.device("meta"):
        assert sum(p.numel() for p in UNet2DModel(**arguments).parameters()) == parameters


def test_there_and_back_is_the_same_checkpoint():
    ddpm, guided = random_ddpm(DDPM[1]), random_guided(GUIDED[1])
    for checkpoint, back in (
        (ddpm, ddpm_from_diffusers(ddpm_to_diffusers(ddpm, DDPM[1])[1], DDPM[1])),
        (guided, guided_from_diffusers(guided_to_diffusers(guided, GUIDED[1])[1], GUIDED[1])),
    ):
        assert back.keys() == checkpoint.keys()
        assert all(torch.equal(back[name], checkpoint[name]) for name in checkpoint)


def test_half_precision_checkpoints_become_float32():
    weights = ddpm_to_diffusers({name: tensor.half() for name, tensor in random_ddpm(DDPM[0]).items()}, DDPM[0])[1]
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


def test_a_learned_sigma_checkpoint_is_a_base():
    checkpoint, config = random_guided(GUIDED[0]), GUIDED[0]
    arguments, weights = guided_to_diffusers(checkpoint, config)
    unet = UNet2DModel(**arguments)
    load_weights(unet, weights)
    base = Base(unet)
    expected = reference_unets.guided(checkpoint, config, X, T)[:, :3]
    assert base.learn_sigma and (base.eps(X, T) - expected).abs().max() < 1e-5 * expected.abs().max()


def test_weights_of_another_architecture_are_refused_by_name():
    with pytest.raises(ShiftlabError, match=r"does not know, such as down\.0\.block\.1"):
        ddpm_to_diffusers(random_ddpm(DDPMConfig(32, (1, 2), 2, (), **SMALL)), DDPMConfig(32, (1, 2), 1, (), **SMALL))
    arguments, weights = ddpm_to_diffusers(random_ddpm(DDPMConfig(32, (1, 2), 1, (), **SMALL)), DDPMConfig(32, (1, 2), 1, (8,), **SMALL))
    with pytest.raises(ShiftlabError, match="lack "):
        load_weights(UNet2DModel(**arguments), weights)


def test_what_diffusers_cannot_represent_is_refused_by_name():
    with pytest.raises(ShiftlabError, match="ImageNet-512"):
        guided_unet_config(GuidedConfig(channel_mult=(0.5, 1, 1, 2, 2, 4, 4), image_size=512))
    with pytest.raises(ShiftlabError, match="ADM-128"):
        guided_unet_config(GuidedConfig(num_head_channels=-1))
