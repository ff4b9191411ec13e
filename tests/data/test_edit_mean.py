"""The mean of edits: of all weights, with a card that claims nothing that was not measured."""

import pytest
import torch

from core.data.edit_mean import mean_edit
from core.types import Edit, EditCard, ShiftlabError


def edit(value: float, name: str = "sketch", **card) -> Edit:
    known = {"method": "diffusionclip", "base_fingerprint": "0123", "settings": {"return_step": 601}, "metrics": {"psnr": 9.0}}
    weights = {"conv.weight": torch.full((2, 3), value), "norm.bias": torch.tensor([value, 0.0])}
    return Edit(EditCard(name=name, **{**known, **card}), weights)


def test_every_weight_is_the_mean_of_all():
    mean = mean_edit([edit(1.0), edit(2.0), edit(6.0)])
    assert torch.equal(mean.weights["conv.weight"], torch.full((2, 3), 3.0))
    assert torch.equal(mean.weights["norm.bias"], torch.tensor([3.0, 0.0]))


def test_its_card_is_the_first_ones_without_metrics():
    card = mean_edit([edit(1.0, note="20 epochs"), edit(2.0, name="lines", settings={"return_step": 601, "w_pairs": 2})]).card
    assert (card.name, card.settings, card.metrics) == ("sketch", {"return_step": 601}, {})
    assert card.note == "the mean of 20 epochs; lines"
    assert mean_edit([edit(1.0), edit(2.0)], name="soup").card.name == "soup"


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ([], "two edits or more"),
        ([edit(2.0, base_fingerprint="4567")], "base 4567"),
        ([edit(2.0), edit(2.0, name="oil", method="sdft")], r"'oil' \(sdft"),
        ([edit(2.0, settings={"return_step": 501})], "return step 501"),
        ([edit(2.0, weights="own")], "no mean"),
    ],
)
def test_what_has_no_mean_is_a_sentence(others, said):
    with pytest.raises(ShiftlabError, match=said):
        mean_edit([edit(1.0), *others])
    if others:
        with pytest.raises(ShiftlabError, match="no mean"):
            mean_edit([*others, edit(1.0)])
