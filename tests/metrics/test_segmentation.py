"""Confusion matrix and IoU against counting by hand."""

from __future__ import annotations

import math

import pytest
import torch

from core.metrics.segmentation import IGNORE, confusion, iou, mean_iou


def test_counted_by_hand():
    truth = torch.tensor([[0, 0, 1], [1, 2, IGNORE]], dtype=torch.uint8)
    said = torch.tensor([[0, 1, 1], [1, 0, 2]])
    matrix = confusion(truth, said, 4)
    assert matrix.tolist() == [[1, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert iou(matrix)[:3].tolist() == pytest.approx([1 / 3, 2 / 3, 0]) and math.isnan(iou(matrix)[3])
    assert mean_iou(matrix) == pytest.approx(1 / 3)


def test_a_class_only_said_counts_as_zero():
    matrix = confusion(torch.tensor([0, 0]), torch.tensor([0, 1]), 3)
    assert iou(matrix)[:2].tolist() == pytest.approx([0.5, 0.0]) and mean_iou(matrix) == pytest.approx(0.25)


def test_matrices_add_up_over_parts():
    generator = torch.Generator().manual_seed(0)
    truth, said = (torch.randint(0, 5, (6, 8, 8), generator=generator) for _ in range(2))
    parts = sum(confusion(truth[k], said[k], 5) for k in range(6))
    assert torch.equal(parts, confusion(truth, said, 5)) and int(parts.sum()) == truth.numel()


def test_nothing_to_compare_is_no_number():
    assert math.isnan(mean_iou(confusion(torch.full((2, 2), IGNORE), torch.zeros(2, 2), 3)))
