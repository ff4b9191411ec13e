"""The comparison with vectors: other weights and shapes agree, a wrong number does not, and every other case has its exit status."""

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from core.models.mapping import DDPMConfig, GuidedConfig
from core.parity.__main__ import main
from core.parity.vectors import Entry
from tests.parity.record import record_asyrp, record_ddpm, record_egsde, record_guided

DDPM = [DDPMConfig(32, (1, 2), 1, (8,), 16), DDPMConfig(32, (1, 1, 2), 2, (8, 4), 16)]
SMALL_AND_LARGE = [DDPM[0], pytest.param(DDPM[1], marks=pytest.mark.long)]
GUIDED = {"p2": GuidedConfig(32, (1, 2), 1, (2,), 32, 16), "large": GuidedConfig(32, (1, 1, 2), 2, (2, 4), 16, 16)}


@pytest.mark.parametrize("config", SMALL_AND_LARGE)
def test_ddpm_vectors_of_any_shape_agree(tmp_path, capsys, config):
    record_ddpm(tmp_path, config, seed=3)
    assert main([str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    names = ["eps_t1", "eps_t640", "inverted_7_t401", "generated_tuned_7", "reconstructed_7"]
    names += ["step_ratio_0.8_t500_n420", "step_hybrid_0.25_0.75_t90_n60", "step_eta1_t500_n420"]
    assert all(name in printed for name in names) and printed.count("ok") == len(names)


@pytest.mark.parametrize("config", SMALL_AND_LARGE)
def test_asyrp_vectors_of_any_shape_agree(tmp_path, capsys, config):
    record_asyrp(tmp_path, config, seed=5)
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("ok") == 8


def test_guided_vectors_of_any_shape_agree(tmp_path, capsys):
    record_guided(tmp_path, GUIDED)
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("ok") == 4


@pytest.mark.parametrize("shape", [{}, {"size": 64, "n": 32, "t": 0}, {"size": 48, "n": 16, "t": 999}])
def test_egsde_vectors_of_any_shape_agree(tmp_path, capsys, shape):
    record_egsde(tmp_path, seed=4, **shape)
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("ok") == 2


def test_egsde_vectors_without_a_factor_are_a_sentence(tmp_path, capsys):
    path = record_egsde(tmp_path)
    rewrite(path, lambda tensors: None, {"t": "120"})
    assert main([str(tmp_path)]) == 2
    assert "low-pass factor" in capsys.readouterr().err


def rewrite(path, change, header=None):
    with safe_open(path, framework="pt") as file:
        header, tensors = header or file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    change(tensors)
    save_file(tensors, path, header)


def test_a_number_beyond_the_bound_fails_and_is_named(tmp_path, capsys):
    path = record_ddpm(tmp_path, DDPM[0])
    rewrite(path, lambda tensors: tensors["eps_t1"].mul_(1 + 3e-5))
    assert main([str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert [line.split()[0] for line in printed.splitlines() if "DISAGREES" in line] == ["eps_t1"]


def test_an_unknown_file_is_named_and_does_not_fail(tmp_path, capsys):
    save_file({"a": torch.zeros(1)}, tmp_path / "tomorrow.safetensors")
    assert main([str(tmp_path)]) == 0
    assert "tomorrow: no comparison yet" in capsys.readouterr().out


def test_nothing_to_compare_is_not_agreement(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "holds no vector files" in capsys.readouterr().err
    save_file({"a": torch.zeros(1)}, tmp_path / "guided_p2.safetensors")
    assert main([str(tmp_path)]) == 2
    assert "holds nothing" in capsys.readouterr().err


def test_an_unreadable_or_unrepresentable_file_is_a_sentence(tmp_path, capsys):
    path = record_guided(tmp_path, {"p2": GUIDED["p2"]})
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    save_file(tensors, path, {"p2": '{"use_fp8": true}'})
    assert main([str(tmp_path)]) == 2
    assert "use_fp8" in capsys.readouterr().err
    path.write_bytes(b"nothing")
    assert main([str(tmp_path)]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_an_error_is_relative_to_the_largest_expected_value():
    expected = torch.tensor([0.0, -4.0])
    assert Entry("a", expected, torch.tensor([0.4, -4.0])).error == pytest.approx(0.1)
    assert not Entry("a", expected, torch.tensor([float("nan"), -4.0])).agrees
    assert not Entry("a", expected, torch.zeros(1)).agrees
