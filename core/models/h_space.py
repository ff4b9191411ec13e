"""h-space: a base's network cut in two at its middle (Kwon et al., "Diffusion Models Already Have a Semantic Latent Space", ICLR 2023).

h is the output of the middle block, the innermost features. The encoder walks once for it; the decoder may walk for several h with the
same skip connections, all in one batch. For any UNet2DModel made of ordinary blocks, so for the embedded base and the imported ones.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from core.models.base import Base
from core.types import ShiftlabError


@dataclass(frozen=True)
class Halfway:
    """What the encoder found: h and the time embedding `(B, E)` in float32, and the skip connections, with the x and t it stands at."""

    x: Tensor  # (B, 3, H, W)
    t: Tensor  # (B,)
    h: Tensor  # (B, C, h, w)
    emb: Tensor
    skips: tuple[Tensor, ...]

    def part(self, begin: int, end: int) -> Halfway:
        """Items begin … end − 1."""
        cut = slice(begin, end)
        return Halfway(self.x[cut], self.t[cut], self.h[cut], self.emb[cut], tuple(skip[cut] for skip in self.skips))


class HSpace:
    """The two halves of a base's network. Its weights stay frozen; gradients flow to h where it asks for them.

    channels: of h; embedding: width of the time embedding.
    Raises ShiftlabError for networks whose halves hang together by more than skip connections.
    """

    def __init__(self, base: Base) -> None:
        unet = base.unet
        if unet.mid_block is None or unet.class_embedding is not None or unet.config.time_embedding_type == "fourier":
            raise ShiftlabError(f"The base {base.name} has no middle that features could be shifted in. Use a DDPM or ADM network.")
        if any(hasattr(block, "skip_conv") for block in (*unet.down_blocks, *unet.up_blocks)):
            raise ShiftlabError(f"The base {base.name} hands pictures from block to block beside its features. Use a DDPM or ADM network.")
        self.base = base
        self.channels = int(unet.config.block_out_channels[-1])
        self.embedding = int(unet.time_embedding.linear_2.out_features)

    def encode(self, x: Tensor, t: Tensor) -> Halfway:
        """x `(B, 3, H, W)`, t long `(B,)`: one pass through the encoder and the middle."""
        self.base.awake()
        unet = self.base.unet
        with self._autocast():
            sample = 2.0 * x - 1.0 if unet.config.center_input_sample else x
            emb = unet.time_embedding(unet.time_proj(t).to(unet.dtype))
            sample = unet.conv_in(sample.contiguous(memory_format=torch.channels_last))
            skips = [sample]
            for block in unet.down_blocks:
                sample, of_block = block(hidden_states=sample, temb=emb)
                skips.extend(of_block)
            h = unet.mid_block(sample, emb)
        return Halfway(x, t, h.float(), emb.float(), tuple(skips))

    def decode(self, halfway: Halfway, *h: Tensor) -> tuple[Tensor, ...]:
        """ε `(B, 3, H, W)` for each of several h `(B, C, h, w)`: one pass through the decoder with all of them in a batch."""
        unet, times = self.base.unet, len(h)
        skips = [_repeated(skip, times) for skip in halfway.skips]
        sample, emb = torch.cat(h), _repeated(halfway.emb, times)
        with self._autocast():
            for block in unet.up_blocks:
                place = len(skips) - len(block.resnets)
                sample = block(sample, tuple(skips[place:]), emb)
                del skips[place:]
            out = unet.conv_out(unet.conv_act(unet.conv_norm_out(sample)))
        eps, _ = self.base.read(out, _repeated(halfway.x, times), _repeated(halfway.t, times))
        return eps.chunk(times)

    def _autocast(self) -> AbstractContextManager[object]:
        dtype = self.base.dtype
        return torch.autocast(self.base.device.type, dtype=dtype, enabled=dtype != torch.float32)


def _repeated(tensor: Tensor, times: int) -> Tensor:
    """The batch, so many times over."""
    return tensor if times == 1 else torch.cat([tensor] * times)
