"""The judge: probabilities, batches, and a folder that is read back or refused in a sentence."""

from __future__ import annotations

import pytest
import torch

from core.models.judge import CONFIG, NONE_OF_THESE, WEIGHTS, Judge, JudgeNetwork, load_judge, save_judge
from core.types import ShiftlabError

DOMAINS, ATTRIBUTES = ("photo", "sketch"), ("smiling", "glasses", "hat")


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    save_judge(tmp_path, JudgeNetwork(2, 3, 4), DOMAINS, ATTRIBUTES, 4)
    return tmp_path


def test_probabilities(folder):
    judge = load_judge(folder)
    x = torch.randn(5, 3, 32, 32)
    domains, attributes = judge.domains(x), judge.attributes(x)
    assert domains.shape == (5, 3) and attributes.shape == (5, 3)
    assert torch.allclose(domains.sum(dim=1), torch.ones(5))
    assert ((attributes >= 0) & (attributes <= 1)).all()
    assert judge.domain_names == ("photo", "sketch", NONE_OF_THESE) and judge.attribute_names == ATTRIBUTES


def test_a_picture_is_judged_alike_alone_and_in_a_long_batch(folder):
    judge = load_judge(folder)
    x = torch.randn(70, 3, 16, 16)
    assert torch.allclose(judge.domains(x)[66:67], judge.domains(x[66:67]), atol=1e-5)


def test_no_gradient_reaches_the_judge(folder):
    x = torch.randn(1, 3, 16, 16, requires_grad=True)
    assert not load_judge(folder).domains(x).requires_grad


def test_a_network_stays_as_it_was_through_the_folder(folder):
    torch.manual_seed(0)
    original = Judge(JudgeNetwork(2, 3, 4), DOMAINS, ATTRIBUTES)
    x = torch.randn(2, 3, 16, 16)
    assert torch.allclose(original.domains(x), load_judge(folder).domains(x), atol=1e-2)


def test_refusals_are_sentences(folder, tmp_path):
    with pytest.raises(ShiftlabError, match="is missing"):
        load_judge(tmp_path / "nowhere")
    (folder / CONFIG).write_text("{")
    with pytest.raises(ShiftlabError, match="cannot be read"):
        load_judge(folder)
    save_judge(folder, JudgeNetwork(2, 3, 4), DOMAINS, ATTRIBUTES, 8)  # a width that is not the network's
    with pytest.raises(ShiftlabError, match="cannot be read"):
        load_judge(folder)
    save_judge(folder, JudgeNetwork(2, 3, 4), DOMAINS, ATTRIBUTES, 4)
    (folder / WEIGHTS).write_bytes(b"not tensors")
    with pytest.raises(ShiftlabError, match="cannot be read"):
        load_judge(folder)
