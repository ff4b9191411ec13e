"""Who is in the picture: a frozen face encoder whose embeddings' cosine is the identity score, with its ceiling and its floor.

The embedded encoder lies in a folder as timm's own "local-dir" (`config.json` and `model.safetensors`) with a `card.json` beside them.
FaceNet (facenet-pytorch's InceptionResnetV1) is the one for photographs.

ceiling: mean score of two pictures of the same person; floor: of two different persons. Both come from the card, and both are None
where nobody measured them: they depend on the pictures as well as on the encoder (core/models/identity_bounds.py measures them).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm
import torch
import torch.nn.functional as F
from facenet_pytorch import InceptionResnetV1
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from core.models.fingerprint import weights_hash
from core.models.reading import UNREADABLE, read_content, state_dict_of
from core.types import ShiftlabError

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "card.json"
HALF = (0.5, 0.5, 0.5)
# The part (top, bottom, left, right, as shares of the side) of an aligned CelebA-HQ portrait that is face: DiffusionCLIP's and e4e's crop.
ALIGNED_FACE = (35 / 256, 223 / 256, 32 / 256, 220 / 256)
FACENET_SIZE = 160  # pixels a side
FACENET_STD = 128 / 255  # FaceNet was trained on (value − 127.5) / 128, value in 0 … 255
FACENET_FILES = {"vggface2": "20180402-114759-vggface2.pt", "casia-webface": "20180408-102900-casia-webface.pt"}
FACENET_BOUNDS = "Floor and ceiling were not measured. With FaceNet two different people can score as high as 0.76."


class Identity:
    """A frozen encoder of faces.

    image_size: pixels a side that the network takes. mean, std: its normalisation of images in [0, 1]; 0.5 leaves [-1, 1].
    crop: (top, bottom, left, right) as shares of the side, cut out first; None keeps the whole picture.
    dtype: of autocast inside; float32 means none. Embeddings are float32 always.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        name: str,
        image_size: int,
        mean: Sequence[float] = HALF,
        std: Sequence[float] = HALF,
        crop: tuple[float, float, float, float] | None = None,
        ceiling: float | None = None,
        floor: float | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        card: dict[str, Any] | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.model = model.to(self.device).eval().requires_grad_(False)
        self.name = name
        self.image_size = image_size
        self.crop = crop
        self.ceiling = ceiling
        self.floor = floor
        self.dtype = dtype
        self.card = card or {}
        self.fingerprint = weights_hash(model.state_dict())
        self._mean = torch.tensor(mean, device=self.device).view(1, 3, 1, 1)
        self._std = torch.tensor(std, device=self.device).view(1, 3, 1, 1)

    def preprocess(self, x: Tensor) -> Tensor:
        """Images `(B, 3, H, W)` in [-1, 1] → `(B, 3, size, size)` as the network wants them; differentiable, not clamped."""
        x = x.to(self.device, torch.float32)
        if self.crop is not None:
            top, bottom, left, right = self.crop
            height, width = x.shape[-2:]
            x = x[..., round(top * height) : round(bottom * height), round(left * width) : round(right * width)]
        if x.shape[-2:] != (self.image_size, self.image_size):
            x = F.interpolate(x, size=(self.image_size, self.image_size), mode="bilinear", antialias=True, align_corners=False)
        return ((x + 1.0) / 2.0 - self._mean) / self._std

    def embed(self, x: Tensor) -> Tensor:
        """Images `(B, 3, H, W)` in [-1, 1] → unit embeddings `(B, D)` float32, with gradient into x."""
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            embedding = self.model(self.preprocess(x))
        return F.normalize(embedding.float(), dim=-1)

    def score(self, a: Tensor, b: Tensor) -> Tensor:
        """Identity score `(B,)` in [-1, 1]: the cosine of the embeddings of a and b, item by item."""
        return (self.embed(a) * self.embed(b)).sum(dim=-1)


def save_identity(folder: Path, model: nn.Module, config: dict[str, Any], card: dict[str, Any]) -> None:
    """Writes what `load_identity` reads.

    config: timm's, {"architecture", "num_classes": D, "model_args": {…}, "pretrained_cfg": {"input_size": [3, H, W], "mean", "std"}}, of
    which model_args, mean and std may be left out; card: {"name", "ceiling", "floor", …}.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}, folder / WEIGHTS_FILE)
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n")
    (folder / CARD_FILE).write_text(json.dumps(card, indent=2) + "\n")


def load_identity(folder: Path, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Identity:
    """The embedded identity encoder in a folder. Weights kept in half precision are read back as float32. Opens no connection.

    Raises ShiftlabError for what is missing or unreadable, for a network that timm does not build, and for weights that do not fit it.
    """
    folder = Path(folder)
    missing = [name for name in (CONFIG_FILE, WEIGHTS_FILE, CARD_FILE) if not (folder / name).is_file()]
    if missing:
        raise ShiftlabError(f"The identity folder {folder.name!r} lacks {' and '.join(missing)}. Train it with `make pretrain`.")
    try:
        model, settings = _read(folder)
    except UNREADABLE as error:
        raise ShiftlabError(
            f"The identity encoder in {folder} cannot be read ({error}). Copy the folder anew, or choose another model."
        ) from error
    return Identity(model, **settings, device=device, dtype=dtype)


def _read(folder: Path) -> tuple[nn.Module, dict[str, Any]]:
    """(the network, what Identity is to be told of it)."""
    config = json.loads((folder / CONFIG_FILE).read_text())
    card = json.loads((folder / CARD_FILE).read_text())
    preprocessing = config["pretrained_cfg"]
    model = timm.create_model(config["architecture"], pretrained=False, num_classes=config["num_classes"], **config.get("model_args", {}))
    weights = load_file(folder / WEIGHTS_FILE)
    model.load_state_dict({name: value.float() if value.is_floating_point() else value for name, value in weights.items()})
    mean, std = (torch.tensor(preprocessing.get(key, HALF)).view(3).tolist() for key in ("mean", "std"))
    return model, {
        "name": card.get("name", folder.name),
        "image_size": int(preprocessing["input_size"][-1]),
        "mean": mean,
        "std": std,
        "ceiling": _bound(card, "ceiling"),
        "floor": _bound(card, "floor"),
        "card": card,
    }


def load_facenet(pretrained: str = "vggface2", *, device: torch.device | str = "cpu") -> Identity:
    """FaceNet for aligned photographs. pretrained: "vggface2", "casia-webface" or a weights file.

    Its ceiling and floor are None: nobody has measured them on this lab's pictures, and a published value would be another set's.
    """
    path = Path(pretrained) if Path(pretrained).is_file() else _facenet_file(pretrained)
    weights = state_dict_of(read_content(path), path.name)
    model = InceptionResnetV1(pretrained=None, classify=False)
    try:  # `logits` is the head over the training set's people; an embedding does without it
        model.load_state_dict({name: value for name, value in weights.items() if not name.startswith("logits.")})
    except RuntimeError as error:
        raise ShiftlabError(f"{path.name} does not hold FaceNet's weights, or not all of them. Choose another file.") from error
    return Identity(
        model,
        name=f"FaceNet ({Path(pretrained).stem})",
        image_size=FACENET_SIZE,
        std=(FACENET_STD,) * 3,
        crop=ALIGNED_FACE,
        device=device,
        card={"name": f"FaceNet ({Path(pretrained).stem})", "bounds": FACENET_BOUNDS},
    )


def _bound(card: dict[str, Any], name: str) -> float | None:
    return None if card.get(name) is None else float(card[name])


def _facenet_file(pretrained: str) -> Path:
    """FaceNet's weights in torch's own cache."""
    if pretrained not in FACENET_FILES:
        raise ShiftlabError(f"FaceNet has no weights called {pretrained!r}. Choose {' or '.join(FACENET_FILES)}, or a weights file.")
    path = Path(torch.hub.get_dir()) / "checkpoints" / FACENET_FILES[pretrained]
    if not path.is_file():
        raise ShiftlabError(f"FaceNet is not on this machine. Fetch it: python -m core models download facenet-{pretrained}")
    return path
