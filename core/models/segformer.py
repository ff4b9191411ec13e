"""SegFormer (Xie et al., "SegFormer", NeurIPS 2021), transformers' own: a small one for small pictures, or any from a folder.

A folder is one as the hub has them: config.json and model.safetensors (or a pickled state dict, read with weights_only). It may hold a bare
MiT backbone, a classifier or a whole segmenter; a head that is missing, or made for other classes, begins at random.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import SegformerConfig, SegformerForSemanticSegmentation
from transformers.utils import logging

from core.types import ShiftlabError

SMALL = "small"
# Pictures of 64 pixels: poles and lights are one or two pixels wide, so the first stage halves the picture where MiT quarters it.
SMALL_CONFIG: dict[str, Any] = {
    "depths": [1, 1, 2, 2], "hidden_sizes": [16, 48, 96, 160], "num_attention_heads": [1, 2, 4, 5], "patch_sizes": [5, 3, 3, 3],
    "strides": [2, 2, 2, 2], "sr_ratios": [8, 4, 2, 1], "mlp_ratios": [2, 2, 4, 4], "decoder_hidden_size": 64,
    "classifier_dropout_prob": 0.0, "drop_path_rate": 0.0,
}  # fmt: skip
HEAD = "decode_head."
UNREADABLE = (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, SafetensorError)


def open_segformer(where: str, classes: int, seed: int = 0) -> SegformerForSemanticSegmentation:
    """A network for so many classes, on the CPU: SMALL untrained, or the one in a folder. seed: of all weights that begin at random.

    Raises ShiftlabError for a folder that holds no SegFormer, or only part of one's backbone.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if where == SMALL:
            return SegformerForSemanticSegmentation(SegformerConfig(**SMALL_CONFIG, num_labels=classes))
        return _from_folder(Path(where), classes)


def save_segformer(network: SegformerForSemanticSegmentation, folder: Path) -> Path:
    """Writes config.json and model.safetensors under the hub's own names, which `open_segformer` and every other tool reads."""
    with _quiet():
        network.save_pretrained(folder)
    return folder


def _from_folder(folder: Path, classes: int) -> SegformerForSemanticSegmentation:
    _check(folder)
    try:
        with _quiet():
            network, found = SegformerForSemanticSegmentation.from_pretrained(
                folder, num_labels=classes, ignore_mismatched_sizes=True, local_files_only=True, weights_only=True,
                output_loading_info=True, dtype=torch.float32,
            )  # fmt: skip
    except UNREADABLE as error:
        raise ShiftlabError(f"The SegFormer in {folder} cannot be read ({str(error).splitlines()[0]}). Fetch it once more.") from error
    lost = sorted({*found["missing_keys"], *(row[0] for row in found["mismatched_keys"])})
    lost = [name for name in lost if not name.startswith(HEAD)]
    if lost:
        raise ShiftlabError(f"The weights in {folder} lack {lost[0]} ({len(lost)} parts of the backbone). Choose a whole MiT or SegFormer.")
    return network


def check_side(network: SegformerForSemanticSegmentation, side: int) -> None:
    """Raises ShiftlabError where pictures of this side are too small: a stage's attention gathers cells that it has not got."""
    config = network.config
    least = max(math.prod(config.strides[: stage + 1]) * ratio for stage, ratio in enumerate(config.sr_ratios))
    if side < least:
        raise ShiftlabError(f"This network needs crops of {least} px or more, and {side} px are set. Choose a larger crop and height.")


@contextmanager
def _quiet() -> Iterator[None]:
    """transformers tells of every head that begins anew, which is as it should be, and draws a bar."""
    before, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bar:
            logging.enable_progress_bar()


def _check(folder: Path) -> None:
    """It is a SegFormer's folder, by its configuration."""
    path = folder / "config.json"
    if not path.is_file():
        raise ShiftlabError(f"There is no SegFormer at {folder}: it has no config.json. Name {SMALL!r}, or a folder as the hub has them.")
    try:
        kind = json.loads(path.read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise ShiftlabError(f"{path} cannot be read. Fetch the model once more.") from error
    if kind != "segformer":
        raise ShiftlabError(f"{folder} holds a model of the kind {kind!r} and no SegFormer. Choose a MiT backbone or a SegFormer.")
