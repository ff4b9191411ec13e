"""Computed memory: right where it can be counted by hand, and below the goals; the base that waits in the CPU's memory; precision."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from core.models.base import Base, park_all
from core.models.mapping import DDPMConfig, ddpm_unet_config
from core.models.memory import inference_memory, is_out_of_memory, peak_bytes, training_memory
from core.models.precision import best_dtype, dtype_of
from core.types import ShiftlabError
from tests.tiny import tiny_unet

GB = 10**9
TINY = ddpm_unet_config(DDPMConfig(32, (1, 2), 1, (8,), 64))


def test_the_peak_is_what_lives_at_once():
    x = torch.empty(1000, device="meta")

    def call():
        y = x + 1  # 4000 bytes
        z = y * 2  # 8000 with y
        del y
        return (z + 1).view(10, 100)  # 8000 again; a view is no new memory

    assert peak_bytes(call) == 8000


def test_a_backward_pass_holds_what_the_forward_saved():
    layers = nn.Sequential(*[nn.Sequential(nn.Linear(10, 10, bias=False), nn.SiLU()) for _ in range(8)]).to("meta")
    x = torch.empty(1000, 10, device="meta")
    one = 1000 * 10 * 4
    assert 15 * one <= peak_bytes(lambda: layers(x).sum().backward()) <= 20 * one
    with torch.no_grad():
        assert peak_bytes(lambda: layers(x)) <= 3 * one


@pytest.mark.long
def test_the_goals_hold_as_computed_for_the_256_px_ddpm():
    """Under 8 GB for fine-tuning in the saving mode and under 3 GB for edits: computed, in float32."""
    training, inference = training_memory(), inference_memory()
    assert training.weights == 4 * 113_673_219 and training.optimizer == 2 * training.weights
    assert training.weights * 4 < training.total < 8 * GB
    assert inference.weights < inference.total < 3 * GB
    assert "not measured" in training.how


@pytest.mark.long
def test_every_way_of_saving_saves():
    thrifty = training_memory(TINY)
    assert thrifty.working < training_memory(TINY, gradient_checkpointing=False).working
    assert thrifty.weights < training_memory(TINY, base_on_cpu=False).weights
    assert thrifty.working < training_memory(TINY, batch=2).working


def test_out_of_memory_is_recognised():
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"))
    with pytest.raises(RuntimeError) as caught:  # in the words of this machine's own allocator
        torch.empty(2**60)
    assert is_out_of_memory(caught.value)
    assert not is_out_of_memory(RuntimeError("shapes"))


def test_a_parked_base_comes_back_by_itself():
    base = Base(tiny_unet())
    x, t = torch.zeros(1, 3, 16, 16), torch.tensor([3])
    before = base.eps(x, t)
    base.park()
    assert torch.equal(base.eps(x, t), before)
    base.device = torch.device("meta")  # stands for a GPU: the weights follow the base's device
    with pytest.raises(RuntimeError, match="meta"):  # autocast knows no such device, but by then the weights are there
        base.eps(x, t)
    assert next(base.unet.parameters()).device.type == "meta"


def test_every_network_is_parked_at_once(monkeypatch):
    bases = [Base(tiny_unet()), Base(tiny_unet(seed=1))]
    assert not park_all()  # all are there already
    parked = []
    monkeypatch.setattr(Base, "park", lambda base: parked.append(base) or base is bases[0])
    assert park_all() and set(bases) <= set(parked)


def test_precisions_by_name():
    assert dtype_of("fp32", "cpu") is torch.float32 and dtype_of("bf16", "cpu") is torch.bfloat16
    assert dtype_of("auto", "cpu") is best_dtype("cpu") and dtype_of("fp16", "cuda") is torch.float16
    with pytest.raises(ShiftlabError, match="gains nothing"):
        dtype_of("fp16", "cpu")
    with pytest.raises(ShiftlabError, match="fp64"):
        dtype_of("fp64", "cpu")


def test_a_copy_never_learns_in_float16():
    base = Base(tiny_unet(), dtype=torch.float16)
    seen = []
    unet = base.trainable_copy()
    unet.conv_in.register_forward_hook(lambda module, args, out: seen.append(out.dtype))
    base.eps_model(unet)(torch.zeros(1, 3, 16, 16), torch.tensor([3]))
    assert seen == [torch.float32]
