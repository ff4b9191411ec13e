"""Vectors of Asyrp on a DDPM-type UNet: h and Δh, the asymmetric step with strengths of either sign, two attributes, below t_edit, boost.

Entries are recognised by their names, which carry the numbers: `edited_t700_n650_c-0.5` is the step from 700 to 650 with strength -0.5.
Delta blocks are under `delta0/`, `delta1/`, …; t_edit is in the header. An entry on one attribute uses the first block. `edited_x0_t700`
is the predicted image inside the step from 700 of the largest strength that is recorded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch
from torch import Tensor

from core.methods.asyrp_block import DeltaBlock, block_of
from core.methods.asyrp_shift import Shift, asymmetric_step, of_block, shifted
from core.models.asyrp_files import delta_block
from core.models.h_space import HSpace
from core.parity.ddpm_diffusionclip import ddpm_base, ddpm_config
from core.parity.vectors import Entry, Vectors
from core.process.ddim import predict_x0
from core.process.sampling import batch_t

INNER = re.compile(r"(?P<what>h|delta_h|edited_x0)_t(?P<t>\d+)")
STEP = re.compile(
    r"(?P<what>edited|below_t_edit|two_attributes|boost_eta1)(?P<before>(_c-?[\d.]+)*)_t(?P<t>\d+)_n(?P<n>-?\d+)(?P<after>(_c-?[\d.]+)*)"
)
STRENGTH = re.compile(r"_c(-?[\d.]+)")


@torch.no_grad()
def compare(vectors: Vectors) -> Iterator[Entry]:
    """One entry for each recorded result."""
    space = HSpace(ddpm_base(vectors.under("base/"), ddpm_config(vectors.header)))
    names = sorted({name.partition("/")[0] for name in vectors.tensors if name.startswith("delta") and "/" in name})
    blocks = [block_of(delta_block(vectors.under(f"{name}/"), name), space, name) for name in names]
    t_edit, x = int(vectors.header["t_edit"]), vectors.tensors["x"]
    for name, expected in sorted(vectors.tensors.items()):
        if match := INNER.fullmatch(name):
            yield Entry(name, expected, _inner(space, blocks[0], vectors, match["what"], int(match["t"])))
        elif match := STEP.fullmatch(name):
            strengths = [float(c) for c in STRENGTH.findall(match["before"] + match["after"])] or [1.0]
            shifts = [Shift(of_block(block), c, t_edit) for block, c in zip(blocks, strengths, strict=False)]
            boosted = match["what"] == "boost_eta1"
            eta, noise = (1.0, vectors.tensors["boost_noise"]) if boosted else (0.0, None)
            yield Entry(name, expected, asymmetric_step(space, shifts, x, int(match["t"]), int(match["n"]), eta, noise))


def _inner(space: HSpace, block: DeltaBlock, vectors: Vectors, what: str, t: int) -> Tensor:
    """h, Δh, or the predicted image of the edited step."""
    x = vectors.tensors["x"]
    halfway = space.encode(x, batch_t(t, x))
    if what == "h":
        return halfway.h
    if what == "delta_h":
        return block(halfway.h, halfway.emb)
    steps = [match for match in map(STEP.fullmatch, vectors.tensors) if match and match["what"] == "edited" and int(match["t"]) == t]
    strength = max((float(c) for match in steps for c in STRENGTH.findall(match.group())), default=1.0)
    (eps,) = space.decode(halfway, shifted(halfway, [Shift(of_block(block), strength, 0)]))
    return predict_x0(x, eps, space.base.schedule.alpha_bar_at(t))
