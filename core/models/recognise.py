"""What a state dict is, told by its keys and shapes alone: its family, its architecture, and in words what is left to convention.

Nothing is guessed silently. What shapes cannot say (the image size; the channels of a head) comes from the published architecture of
exactly this shape, and is then said in `notes`, or from the caller; where neither knows, a ShiftlabError asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from core.models.mapping import DDPMConfig, GuidedConfig
from core.models.unet_folder import check_channels
from core.types import ShiftlabError

Family = Literal["ddpm", "guided"]
DDPM_KEY, GUIDED_KEY = "temb.dense.0.weight", "time_embed.0.weight"
SIX_LEVELS = (1, 1, 2, 2, 4, 4)
ADM_128, ADM_512 = (1, 1, 2, 3, 4), 0.5  # the published models' multipliers: all of them, and the first
# (channels, multipliers) → pixels a side, as published: DDPM on CelebA-HQ, LSUN and CIFAR-10; P2, ILVR, SDFT; ADM-256 and LSUN; ADM-64.
DDPM_SIZES = {(128, SIX_LEVELS): 256, (128, (1, 2, 2, 2)): 32}
GUIDED_SIZES = {(128, SIX_LEVELS): 256, (256, SIX_LEVELS): 256, (192, (1, 2, 3, 4)): 64}
PUBLISHED_HEAD_CHANNELS = 64  # of every published guided-diffusion model with resblock_updown but ADM-128
_FIXED_HEADS = (
    "its attention has a fixed number of heads, which a UNet2DModel cannot represent (its heads have a fixed number of channels)"
)


@dataclass(frozen=True)
class Network:
    """A recognised noise predictor. notes: one sentence for each thing that the weights do not say themselves."""

    family: Family
    config: DDPMConfig | GuidedConfig
    notes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The family and, where it is one, the published architecture, in a few words."""
        if isinstance(self.config, DDPMConfig):
            return "DDPM" if self.config.ch_mult == SIX_LEVELS and self.config.ch == 128 else "DDPM, in a shape of its own"
        wide = {128: "guided-diffusion (P2, ILVR, SDFT)", 256: "guided-diffusion (ADM-256)"}
        known = self.config.channel_mult == SIX_LEVELS and self.config.model_channels in wide
        return wide[self.config.model_channels] if known else "guided-diffusion, in a shape of its own"


def recognise(state: Mapping[str, Tensor], *, image_size: int | None = None, head_channels: int | None = None) -> Network:
    """The network that these weights are of. image_size in pixels and head_channels, of guided networks, take the place of convention.

    Raises ShiftlabError, with the reason, for weights of something else and for architectures that cannot be represented.
    """
    if DDPM_KEY in state:
        network = _ddpm(state, image_size)
    elif GUIDED_KEY in state:
        network = _guided(state, image_size, head_channels)
    else:
        raise ShiftlabError(f"These weights are of no network that is known here: they have {what_is_there(state)}. {KNOWN_KINDS}")
    check_channels(network.config.in_channels, network.config.out_channels)
    return network


KNOWN_KINDS = "Use a DDPM or guided-diffusion checkpoint, a diffusers folder, or an edit of DiffusionCLIP or Asyrp."


def what_is_there(state: Mapping[str, Any]) -> str:
    """The first few keys, and for well-known other models their name."""
    kinds = {
        "model.diffusion_model.": "the parts of a Stable Diffusion checkpoint",
        "text_model.": "a text encoder",
        "visual.": "a CLIP model",
        "module.all_modules.": "a score-SDE network (NCSN++)",
        "synthesis.": "a GAN's generator",
    }
    for prefix, kind in kinds.items():
        if any(str(key).startswith(prefix) for key in state):
            return f"{kind} ({prefix}…)"
    keys = [str(key)[:60] for key in list(state)[:3]]
    return f"the keys {', '.join(keys)}" if keys else "no keys at all"


def _ddpm(state: Mapping[str, Tensor], image_size: int | None) -> Network:
    ch = _shape(state, DDPM_KEY)[1]
    levels = _count(state, r"down\.(\d+)\.block\.0\.conv1\.weight")
    blocks = _count(state, r"down\.0\.block\.(\d+)\.conv1\.weight")
    if levels > 1 and "down.0.downsample.conv.weight" not in state:
        raise ShiftlabError("This DDPM checkpoint shrinks without convolutions, which is not known here. Use one with resamp_with_conv.")
    multipliers = tuple(_multiple(_shape(state, f"down.{i}.block.0.conv1.weight")[0], ch) for i in range(levels))
    size, notes = _image_size(image_size, DDPM_SIZES.get((ch, multipliers)))
    attends = [i for i in range(levels) if f"down.{i}.attn.0.q.weight" in state]
    config = DDPMConfig(
        ch=ch,
        ch_mult=multipliers,
        num_res_blocks=blocks,
        attn_resolutions=tuple(size // 2**i for i in attends),
        image_size=size,
        in_channels=_shape(state, "conv_in.weight")[1],
        out_channels=_shape(state, "conv_out.weight")[0],
    )
    return Network("ddpm", config, notes)


def _guided(state: Mapping[str, Tensor], image_size: int | None, head_channels: int | None) -> Network:
    channels = _shape(state, GUIDED_KEY)[1]
    resblock_updown, blocks, levels = _guided_levels(state)
    widths = [_shape(state, f"input_blocks.{1 + level * (blocks + 1)}.0.out_layers.3.weight")[0] for level in range(levels)]
    _refuse_by_name(state, channels, widths)
    multipliers = tuple(_multiple(width, channels) for width in widths)
    size, notes = _image_size(image_size, GUIDED_SIZES.get((channels, multipliers)))
    attends = [level for level in range(levels) if f"input_blocks.{1 + level * (blocks + 1)}.1.qkv.weight" in state]
    heads, more = _head_channels(state, head_channels, resblock_updown, (channels, multipliers) in GUIDED_SIZES)
    embedding = _shape(state, "input_blocks.1.0.emb_layers.1.weight")[0]
    config = GuidedConfig(
        model_channels=channels,
        channel_mult=multipliers,
        num_res_blocks=blocks,
        attention_resolutions=tuple(2**level for level in attends),
        num_head_channels=heads,
        image_size=size,
        in_channels=_shape(state, "input_blocks.0.0.weight")[1],
        out_channels=_shape(state, "out.2.weight")[0],
        use_scale_shift_norm=embedding == 2 * widths[0],
        resblock_updown=resblock_updown,
    )
    return Network("guided", config, notes + more)


def _guided_levels(state: Mapping[str, Tensor]) -> tuple[bool, int, int]:
    """(whether sampling is done by residual blocks, residual blocks a level, levels), from the way up.

    There the sampler is the last child of a level's last block, and so shows where levels end; on the way down a sampling residual
    block looks like any other.
    """
    total = _count(state, r"output_blocks\.(\d+)\.0\.in_layers\.0\.weight")
    found = re.compile(r"output_blocks\.(\d+)\.[12]\.(in_layers\.0|conv)\.weight")
    samplers = {int(match[1]): match[2] for match in map(found.fullmatch, state) if match}
    if not samplers:  # a single level: nothing is sampled
        return True, total - 1, 1
    a_level = min(samplers) + 1
    levels = len(samplers) + 1
    if total != levels * a_level or sorted(samplers) != [a_level * (i + 1) - 1 for i in range(levels - 1)]:
        raise ShiftlabError("This guided-diffusion checkpoint has levels of different depth, which is not known here. Use another one.")
    return samplers[a_level - 1] == "in_layers.0", a_level - 1, levels


def _refuse_by_name(state: Mapping[str, Tensor], channels: int, widths: list[int]) -> None:
    """The published models that cannot be represented."""
    if widths[0] == ADM_512 * channels:
        raise ShiftlabError(
            "This is ImageNet-512's network: its first channel multiplier is 0.5, which a UNet2DModel cannot represent. Use a 256 px model."
        )
    if [width / channels for width in widths] == list(ADM_128):
        raise ShiftlabError(f"This is ADM-128's network (multipliers 1, 1, 2, 3, 4): {_FIXED_HEADS}. Use ADM-256, P2 or a DDPM.")
    if "label_emb.weight" in state:
        raise ShiftlabError("This network is class-conditional (label_emb), and the lab gives no classes. Use an unconditional one.")


def _head_channels(
    state: Mapping[str, Tensor], given: int | None, resblock_updown: bool, published: bool
) -> tuple[int, tuple[str, ...]]:
    """Shapes do not say how attention is cut into heads."""
    widths = {tensor.shape[0] // 3 for name, tensor in state.items() if name.endswith(".qkv.weight")}
    if given is None and not (published and resblock_updown):
        raise ShiftlabError(
            "How many channels a head of this guided-diffusion network has cannot be read from its file. Say it (--head-channels); a fixed "
            "number of heads, as ADM-128 and improved-diffusion have, cannot be represented."
        )
    heads = PUBLISHED_HEAD_CHANNELS if given is None else given
    if heads < 1 or any(width % heads for width in widths):
        raise ShiftlabError(
            f"Heads of {heads} channels do not divide attention of {', '.join(map(str, sorted(widths)))} channels: if {_FIXED_HEADS}, use "
            "another model."
        )
    return heads, () if given is not None else (f"{heads} channels a head, as published for this shape; the file does not say it.",)


def _image_size(given: int | None, published: int | None) -> tuple[int, tuple[str, ...]]:
    if given is not None:
        return given, ()
    if published is None:
        raise ShiftlabError("The file does not say its image size, and no published network has this shape. Say it (--image-size).")
    return published, (f"{published} px, as published for this shape; the file does not say it.",)


def _multiple(width: int, channels: int) -> int:
    if width % channels:
        raise ShiftlabError(f"A level has {width} channels, no multiple of {channels}, which cannot be represented. Use another model.")
    return width // channels


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    """One more than the largest number that the pattern finds; ShiftlabError where it finds none or some are missing."""
    numbers = {int(match[1]) for match in map(re.compile(pattern).fullmatch, state) if match}
    if not numbers or max(numbers) + 1 != len(numbers):
        raise ShiftlabError(f"The checkpoint lacks weights ({pattern.replace(chr(92), '')}). It is incomplete; copy the file anew.")
    return len(numbers)


def _shape(state: Mapping[str, Tensor], name: str) -> tuple[int, ...]:
    """Shape of a weight matrix or kernel. Raises ShiftlabError where it is missing or no tensor of at least two dimensions."""
    tensor = state.get(name)
    if not isinstance(tensor, Tensor):
        raise ShiftlabError(f"The checkpoint lacks {name}. It is incomplete; copy the file anew.")
    if tensor.ndim < 2:
        raise ShiftlabError(f"The checkpoint's {name} has the shape {tuple(tensor.shape)}, which fits no network. Use another file.")
    return tuple(tensor.shape)
