"""Bytes of a weight file as data: safetensors, or torch's own format with `weights_only=True`. Code in a file is never executed.

Every way in which a file can be no weight file ends in a ShiftlabError that names it.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from core.types import ShiftlabError

EMA_INDEX = 4  # of DDPM's training files: [weights, optimizer, epoch, step, averaged weights]
ZIP, PICKLE = b"PK", b"\x80"
# What reading a damaged or unsuitable file or folder raises, somewhere in torch, timm, open_clip, diffusers or safetensors.
UNREADABLE = (
    OSError, EOFError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError, RuntimeError,
    SafetensorError, pickle.UnpicklingError,
)  # fmt: skip
_CODE = re.compile(r"(?:GLOBAL|Unsupported class|Unsupported global:?)\s+(?:GLOBAL\s+)?([\w.]+)")


def read_content(path: Path) -> Any:
    """What a file holds, its tensors on the CPU. Raises ShiftlabError for what is missing, empty, broken, code, or no weight file."""
    path = Path(path)
    if not path.is_file():
        raise ShiftlabError(f"There is no file at {path}. Choose another path.")
    with path.open("rb") as file:
        start = file.read(64)
    _refuse_impostors(path, start)
    if path.suffix == ".safetensors" or (start[8:9] == b"{" and not start.startswith((ZIP, PICKLE))):
        return _safetensors(path)
    return _torch(path, start)


def state_dict_of(content: Any, name: str) -> dict[str, Tensor]:
    """The weights in a file's content: a state dict itself, a DDPM training file's averaged one, or one under "state_dict".

    A prefix "module." that data-parallel training leaves is taken off. Raises ShiftlabError where there is no state dict.
    """
    if isinstance(content, list | tuple):
        if len(content) <= EMA_INDEX or not isinstance(content[EMA_INDEX], Mapping):
            raise ShiftlabError(
                f"{name} is a list of {len(content)} things without averaged weights at index {EMA_INDEX}, where DDPM's training files "
                "have them. Export the weights alone."
            )
        content = content[EMA_INDEX]
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise ShiftlabError(f"{name} holds a {type(content).__name__} and no weights. Choose a checkpoint.")
    wrong = next((key for key, value in content.items() if not isinstance(value, Tensor)), None)
    if wrong is not None:
        raise ShiftlabError(f"{name} is no plain state dict: its entry {str(wrong)[:60]!r} is no tensor. Export the weights alone.")
    return {str(key).removeprefix("module."): tensor for key, tensor in content.items()}


def _refuse_impostors(path: Path, start: bytes) -> None:
    """What a download often leaves in a weight file's place."""
    if not start:
        raise ShiftlabError(f"{path.name} is empty. Fetch it again.")
    if start.startswith(b"version https://git-lfs"):
        raise ShiftlabError(f"{path.name} is only a Git LFS pointer to the weights. Fetch the file itself, such as with `git lfs pull`.")
    if start.lstrip()[:1] == b"<":
        raise ShiftlabError(f"{path.name} is a web page and no weight file. Download the file itself.")


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ShiftlabError(f"{path.name} is truncated or no safetensors file ({error}). Fetch it again.") from error


def _torch(path: Path, start: bytes) -> Any:
    if _is_program(path):
        raise ShiftlabError(
            f"{path.name} is a program (TorchScript), which is never executed here. Use the weights alone, as safetensors. OpenAI's CLIP "
            "is to be had so: python -m core models download clip-vit-b-16-openai, or ViT-L-14:openai."
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ShiftlabError(_refusal(path.name, str(error), start)) from error
    except UNREADABLE as error:
        raise ShiftlabError(_truncated(path.name, start)) from error


def _is_program(path: Path) -> bool:
    """Whether a file is what torch.jit.save writes, told as torch tells it. Its own refusal warns, and says to switch the check off."""
    try:
        with ZipFile(path) as file:
            return any(Path(name).name == "constants.pkl" for name in file.namelist())
    except (BadZipFile, OSError):
        return False


def _refusal(name: str, error: str, start: bytes) -> str:
    """torch refuses code and broken pickles with the same exception; the text says which."""
    code = _CODE.search(error)
    if code is not None or "nsupported" in error or "not allowed" in error:
        what = f" ({code[1]})" if code else ""
        return f"{name} holds pickled code{what}, which is never executed here. Ask for the weights alone: a state dict, or safetensors."
    return _truncated(name, start)


def _truncated(name: str, start: bytes) -> str:
    if start.startswith((ZIP, PICKLE)):
        return f"{name} is truncated or damaged. Fetch it again."
    return f"{name} is no weight file that is known here. Use safetensors, or what torch.save wrote."
