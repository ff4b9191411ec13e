"""Vectors of SDFT's and DomainStudio's losses, written down in float64 by the papers' formulas, agree; wrong ones do not."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from core.parity.__main__ import main

ALPHA_BAR = torch.tensor(np.cumprod(1 - np.linspace(1e-4, 0.02, 1000)))


def inputs(names, batch, seed=0):
    g = torch.Generator().manual_seed(seed)
    tensors = {name: torch.randn(batch, 3, 8, 8, generator=g) for name in ("x0", "noise", *names)}
    t = torch.randint(1000, (batch,), generator=g)
    a = ALPHA_BAR[t].view(-1, 1, 1, 1)
    return {**tensors, "t": t.float(), "x_t": (a.sqrt() * tensors["x0"] + (1 - a).sqrt() * tensors["noise"]).float()}, a


def mean(x):
    return x.square().mean(dim=(1, 2, 3))


def record_sdft(folder, factor=1.0):
    v, a = inputs(("student_eps_xt", "teacher_eps_xt", "student_eps_z", "teacher_eps_z"), 5)
    a = a.flatten()
    terms = {
        "mine_mse": mean(v["noise"] - v["student_eps_xt"]),
        "mine_sd": 0.4 * (1 - a) ** 2 * mean(v["teacher_eps_xt"] - v["student_eps_xt"]),
        "mine_dasd": 0.7 * (1 - a) ** 30 * mean(v["teacher_eps_z"] - v["student_eps_z"]),
    }
    save_file(v | {name: (factor * term).float() for name, term in terms.items()}, folder / "sdft.safetensors", {"mine": "0.4 2 .7 30"})


def record_domainstudio(folder, factor=1.0):
    v, a = inputs(("adapted_eps", "source_eps"), 4, seed=1)
    adapted, source = ((v["x_t"].double() - (1 - a).sqrt() * v[f"{name}_eps"]) / a.sqrt() for name in ("adapted", "source"))

    def hf(x):
        p, q, r, s = (x[..., i::2, j::2] for i in (0, 1) for j in (0, 1))
        return (r + s - p - q) / 2 + (q + s - p - r) / 2 + (p + s - q - r) / 2

    def divergence(x, y):
        p, q = (
            torch.stack([torch.stack([torch.cosine_similarity(z[i].flatten(), z[j].flatten(), 0) for j in range(4) if j != i]).softmax(0)
                         for i in range(4)])
            for z in (x, y)
        )  # fmt: skip
        return 4 * (p * (p / q).log()).mean()

    results = {
        "mse": mean(v["noise"] - v["adapted_eps"]),
        "hf_mse": mean(hf(adapted) - hf(v["x0"].double())),
        "pairwise_x4": divergence(source, adapted),
        "hf_pairwise_x4": divergence(hf(source), hf(adapted)),
    }
    save_file(v | {name: (factor * result).float() for name, result in results.items()}, folder / "domainstudio.safetensors")


@pytest.mark.parametrize(("record", "entries"), [(record_sdft, 4), (record_domainstudio, 5)])
def test_other_vectors_agree_and_wrong_ones_do_not(tmp_path, capsys, record, entries):
    record(tmp_path)
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out.count(" ok") == entries
    record(tmp_path, factor=1.02)
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().out.count("DISAGREES") == entries - 1  # all but x_t


def test_a_setting_without_numbers_is_a_sentence(tmp_path, capsys):
    record_sdft(tmp_path)
    v, _ = inputs(("student_eps_xt", "teacher_eps_xt", "student_eps_z", "teacher_eps_z"), 5)
    save_file({**v, "mine_sd": torch.ones(5)}, tmp_path / "sdft.safetensors", {"mine": "0.4"})
    assert main([str(tmp_path)]) == 2
    assert "four numbers of 'mine'" in capsys.readouterr().err
