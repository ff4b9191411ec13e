"""Released files of Asyrp, of both block types, as edits of a base that was imported too."""

import dataclasses

import pytest
import torch

from core.data.edits import load_edit, save_edit
from core.methods import METHODS
from core.methods.asyrp_block import KINDS
from core.methods.asyrp_settings import AsyrpEdit
from core.models.files import open_base, open_edit
from core.models.mapping import DDPMConfig, GuidedConfig
from core.types import Context, EditRequest
from tests.models.random_checkpoints import random_ddpm, random_guided

SETTINGS = AsyrpEdit(return_step=900, generation_steps=3, grid="paper", inversion_steps=3, t_edit=500, t_boost=0)
BASES = {
    "ddpm": (lambda: random_ddpm(DDPMConfig(32, (1, 2), 1, (8,), 16)), {"image_size": 16}),
    "guided": (lambda: random_guided(GuidedConfig(32, (1, 2), 1, (2,), 32, 16)), {"image_size": 16, "head_channels": 32}),
}


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_a_released_file_is_an_edit_that_shifts(tmp_path, kind):
    random, shape = BASES[kind]
    torch.save(random(), tmp_path / "base.pt")
    base = open_base(tmp_path / "base.pt", dtype=torch.float32, **shape)
    torch.manual_seed(1)
    block = KINDS[kind](64, 128).state_dict()
    torch.save({"0": block, "optimizer": {}, "scheduler": {}}, tmp_path / "smiling.pth")
    edit = open_edit(tmp_path / "smiling.pth", base, target_prompt="a smiling person")
    card = edit.card
    assert (card.method, card.weights, card.base_fingerprint, card.target_prompt) == ("asyrp", "own", base.fingerprint, "a smiling person")
    save_edit(tmp_path / "smiling.safetensors", edit, base.state_dict(), "full")
    kept = load_edit(tmp_path / "smiling.safetensors", base.state_dict())
    assert kept.weights.keys() == block.keys() and all(torch.equal(kept.weights[name], block[name]) for name in block)

    images = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    request = EditRequest(images, SETTINGS, (kept,))
    *_, shifted = METHODS["asyrp"].edit(request, Context(base=base))
    *_, plain = METHODS["asyrp"].edit(dataclasses.replace(request, edits=()), Context(base=base))
    assert not torch.allclose(shifted.images, plain.images, atol=1e-3)
