"""How well classes were told apart, pixel by pixel: the confusion matrix, and intersection over union from it.

IoU of a class is TP / (TP + FP + FN) over all pixels of all pictures together (Everingham et al., "The PASCAL VOC Challenge", IJCV 2010);
mIoU is the mean over the classes that occur in truth or prediction. Pixels whose truth is IGNORE count nowhere.
"""

from __future__ import annotations

import torch
from torch import Tensor

IGNORE = 255


def confusion(truth: Tensor, said: Tensor, classes: int) -> Tensor:
    """Pixels `(classes, classes)` int64, rows truth, columns prediction. truth, said: class places of one shape, truth may be IGNORE."""
    known = truth != IGNORE
    places = truth[known].long() * classes + said[known].long()
    return torch.bincount(places, minlength=classes * classes).view(classes, classes)


def iou(matrix: Tensor) -> Tensor:
    """Of each class `(…, classes)` in [0, 1], from matrices `(…, classes, classes)` as `confusion` gives them, or sums of such.

    NaN for a class that neither truth nor prediction has.
    """
    both = matrix.diagonal(dim1=-2, dim2=-1).double()
    return both / (matrix.sum(dim=-2) + matrix.sum(dim=-1) - both)


def mean_iou(matrix: Tensor) -> float:
    """mIoU in [0, 1] over the classes that are there; NaN where there is none."""
    return float(iou(matrix).nanmean())
