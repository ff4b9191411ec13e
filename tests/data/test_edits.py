"""Edits on disk: what is kept, what it costs, and what is refused."""

import pytest
import torch

from core.data.edits import WEIGHTS_ERROR, check_base, load_edit, read_card, save_edit
from core.types import Edit, EditCard, ShiftlabError

SHAPES = {"conv.weight": (16, 8, 3, 3), "linear.weight": (24, 16), "norm.bias": (16,)}


def state(seed: int, scale: float = 1.0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: scale * torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}


@pytest.fixture
def base() -> dict[str, torch.Tensor]:
    return state(0)


@pytest.fixture
def edit(base) -> Edit:
    """A small change of rank 2 in the matrices, as fine-tuning makes them, plus a little of full rank."""
    generator = torch.Generator().manual_seed(1)
    weights = {}
    for name, value in base.items():
        matrix = value.flatten(1) if value.ndim > 1 else value[None]
        leading = torch.randn(len(matrix), 2, generator=generator) @ torch.randn(2, matrix.shape[1], generator=generator)
        change = 1e-4 * leading + 1e-6 * torch.randn(matrix.shape, generator=generator)
        weights[name] = value + change.view_as(value)
    return Edit(EditCard(name="sketch", method="diffusionclip", base_fingerprint="0123", seed=3), weights)


def relative_error(edit: Edit, loaded: Edit, base: dict[str, torch.Tensor]) -> float:
    error = sum((loaded.weights[name] - edit.weights[name]).square().sum() for name in base)
    return float((error / sum((edit.weights[name] - base[name]).square().sum() for name in base)).sqrt())


@pytest.mark.parametrize(("how", "bound"), [("full", 1e-9), ("half", 2e-3), ("eight_bit", 2e-2)])
def test_what_comes_back_and_the_error_in_the_card(tmp_path, base, edit, how, bound):
    written = save_edit(tmp_path / "e.safetensors", edit, base, how)
    loaded = load_edit(tmp_path / "e.safetensors", base)
    assert loaded.card == written == read_card(tmp_path / "e.safetensors")
    assert written.weights == how and written.seed == 3
    assert written.metrics[WEIGHTS_ERROR] == pytest.approx(relative_error(edit, loaded, base), abs=1e-6)
    assert written.metrics[WEIGHTS_ERROR] <= bound
    assert all(value.dtype == torch.float32 and value.shape == SHAPES[name] for name, value in loaded.weights.items())


def test_eight_bits_are_half_of_half(tmp_path, base, edit):
    base = {**base, "large.weight": torch.zeros(64, 64, 3, 3)}
    edit = Edit(edit.card, {**edit.weights, "large.weight": 1e-3 * torch.randn(64, 64, 3, 3)})
    sizes = {}
    for how in ("half", "eight_bit"):
        save_edit(tmp_path / f"{how}.safetensors", edit, base, how)
        sizes[how] = (tmp_path / f"{how}.safetensors").stat().st_size
    assert sizes["eight_bit"] < 0.55 * sizes["half"]


def test_an_edit_that_changed_nothing(tmp_path, base):
    nothing = Edit(EditCard(name="same", method="diffusionclip", base_fingerprint="0"), base)
    for how in ("half", "eight_bit"):
        assert save_edit(tmp_path / "e.safetensors", nothing, base, how).metrics[WEIGHTS_ERROR] == 0.0
        assert all(torch.equal(value, base[name]) for name, value in load_edit(tmp_path / "e.safetensors", base).weights.items())


def test_another_base_is_refused_by_name(edit):
    check_base(edit.card, "0123")
    check_base(edit.card, "4567", override=True)
    with pytest.raises(ShiftlabError, match="'sketch' belongs to the base 0123, but 4567"):
        check_base(edit.card, "4567")


def test_another_network_is_refused(tmp_path, base, edit):
    save_edit(tmp_path / "e.safetensors", edit, base)
    with pytest.raises(ShiftlabError, match="another network"):
        load_edit(tmp_path / "e.safetensors", {"other": torch.zeros(2)})
    with pytest.raises(ShiftlabError, match="another network"):
        load_edit(tmp_path / "e.safetensors", {name: torch.zeros(5, 5) for name in base})


@pytest.mark.parametrize("content", [b"", b"no safetensors at all"])
def test_a_broken_file_is_a_sentence(tmp_path, content):
    (tmp_path / "e.safetensors").write_bytes(content)
    with pytest.raises(ShiftlabError, match="not an edit"):
        read_card(tmp_path / "e.safetensors")


def test_nothing_unfinished_stays(tmp_path, base, edit):
    save_edit(tmp_path / "e.safetensors", edit, base)
    assert [path.name for path in tmp_path.iterdir()] == ["e.safetensors"]


def test_weights_of_a_network_of_its_own_come_back_without_a_base_to_differ_from(tmp_path, base, edit):
    own = Edit(edit.card.model_copy(update={"weights": "own"}), {"head.weight": torch.randn(2, 5), "head.bias": torch.randn(2)})
    card = save_edit(tmp_path / "e.safetensors", own, base, "eight_bit")
    loaded = load_edit(tmp_path / "e.safetensors", base)
    assert loaded.card == card == own.card
    assert loaded.weights.keys() == own.weights.keys() and all(torch.equal(loaded.weights[name], own.weights[name]) for name in own.weights)
