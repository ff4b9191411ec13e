"""CLIP as the methods need it: normalised embeddings with gradients into the image; directions between two prompts or two sets of images.

Every model is open_clip's own class. The embedded one lies in a folder as `open_clip_config.json`, `model.safetensors` and `card.json`
and never touches a network, its table of words cut to those that it was taught (core/models/clip_words.py); other models are named as
open_clip names them (`load_open_clip` in core/models/clip_hub.py).

Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021; the directions are those of
StyleGAN-NADA (Gal et al., 2022, eq. 3) as DiffusionCLIP (Kim et al., CVPR 2022, eq. 3) uses them.
"""

from __future__ import annotations

import json
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import open_clip
import torch
import torch.nn.functional as F
from open_clip import OPENAI_IMAGENET_TEMPLATES
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from core.models.clip_words import only_rows_of, strange_words, with_all_rows
from core.models.fingerprint import weights_hash
from core.models.reading import UNREADABLE
from core.types import ShiftlabError

CONFIG_FILE = "open_clip_config.json"
WEIGHTS_FILE = "model.safetensors"
OPEN_CLIP_WEIGHTS_FILE = "open_clip_model.safetensors"  # the name in open_clip's own "local-dir" folders, read as well
CARD_FILE = "card.json"
PLAIN_TEMPLATES = ("{}",)
IMAGENET_TEMPLATES = tuple(template("{}") for template in OPENAI_IMAGENET_TEMPLATES)
DIRECTION_EPS = 1e-7  # added to a difference of features before it is normalised (METHODS §1)
TEXT_CACHE_SIZE = 4096  # prompts; 2 MiB at 128 numbers each
_LEADING_ARTICLE = re.compile(r"^(a|an|the)\s+", re.IGNORECASE)
_ARTICLE_BEFORE_SLOT = re.compile(r"\b(a|an|the|my|one|many)(\s+\w+)*\s+\{\}", re.IGNORECASE)

Tokenizer = Callable[[list[str]], Tensor]


def fill_templates(prompt: str, templates: Sequence[str]) -> list[str]:
    """The prompt set into each template. A prompt that already is a phrase ("a photo of a person") loses its own article
    where the template brings one, so that "a bad photo of a {}." becomes "a bad photo of a photo of a person."
    """
    bare = _LEADING_ARTICLE.sub("", prompt)
    return [template.replace("{}", bare if _ARTICLE_BEFORE_SLOT.search(template) else prompt) for template in templates]


def normalised(vectors: Tensor) -> Tensor:
    """Vectors `(…, D)` divided by their length + 1e-7, so that two equal images give a zero and no NaN."""
    return vectors / (vectors.norm(dim=-1, keepdim=True) + DIRECTION_EPS)


def mix_directions(text: Tensor, image: Tensor, image_weight: float) -> Tensor:
    """`(D,)` unit direction between the one from text (image_weight 0) and the one from images (1)."""
    return normalised((1.0 - image_weight) * text + image_weight * image)


class Clip:
    """A frozen CLIP with differentiable preprocessing.

    model: open_clip.CLIP or another model of open_clip with `encode_image` and `encode_text`.
    image_size: pixels a side that the image tower takes. mean, std: its colour normalisation of [0, 1] images.
    templates: what `text_direction` uses when it is told none; the embedded model's come from its card.
    dtype: of autocast in the image tower; float32 means none. Embeddings are float32 always.
    taught: the tokens that the text tower knows; None means all. The card's "least_direction" says how far apart two prompts must be to
    name a direction: a small text tower keeps those that say the same to it a little apart.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Tokenizer,
        *,
        name: str,
        image_size: int,
        mean: Sequence[float],
        std: Sequence[float],
        templates: Sequence[str] = IMAGENET_TEMPLATES,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        card: dict[str, Any] | None = None,
        taught: Collection[int] | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.model = model.to(self.device).eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.name = name
        self.image_size = image_size
        self.templates = tuple(templates)
        self.dtype = dtype
        self.card = card or {}
        self.taught = taught
        self.least_direction = float(self.card.get("least_direction", 0.0))
        self.fingerprint = weights_hash(model.state_dict())
        self._mean = torch.tensor(mean, device=self.device).view(1, 3, 1, 1)
        self._std = torch.tensor(std, device=self.device).view(1, 3, 1, 1)
        self._texts: OrderedDict[str, Tensor] = OrderedDict()
        self._texts_lock = threading.Lock()

    def preprocess(self, x: Tensor) -> Tensor:
        """Images `(B, 3, H, W)` in [-1, 1] → `(B, 3, size, size)` as the tower wants them.

        Not clamped: a value beyond the range keeps its gradient. The shorter side is resized, then the middle is cut out.
        """
        x = (x.to(self.device, torch.float32) + 1.0) / 2.0
        height, width = x.shape[-2:]
        if min(height, width) != self.image_size:
            scale = self.image_size / min(height, width)
            x = F.interpolate(x, size=(round(height * scale), round(width * scale)), mode="bicubic", antialias=True)
        top, left = (x.shape[-2] - self.image_size) // 2, (x.shape[-1] - self.image_size) // 2
        x = x[..., top : top + self.image_size, left : left + self.image_size]
        return (x - self._mean) / self._std

    def encode_image(self, x: Tensor) -> Tensor:
        """Images `(B, 3, H, W)` in [-1, 1] → unit embeddings `(B, D)` float32, with gradient into x."""
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            features = self.model.encode_image(self.preprocess(x))
        return F.normalize(features.float(), dim=-1)

    def encode_text(self, texts: list[str]) -> Tensor:
        """Prompts → unit embeddings `(B, D)` float32. Kept, because a page asks for the same few prompts again and again."""
        with self._texts_lock:  # the page and the worker may ask at once
            missing = [text for text in dict.fromkeys(texts) if text not in self._texts]
            if missing:
                with torch.no_grad():
                    features = self.model.encode_text(self.tokenizer(missing).to(self.device))
                self._texts.update(zip(missing, F.normalize(features.float(), dim=-1), strict=True))
            for text in texts:
                self._texts.move_to_end(text)
            embeddings = torch.stack([self._texts[text] for text in texts])
            while len(self._texts) > TEXT_CACHE_SIZE:
                self._texts.popitem(last=False)
        return embeddings

    def strange_words(self, prompt: str) -> list[str]:
        """The words of a prompt that this CLIP was never taught, and passes over."""
        return [] if self.taught is None else strange_words(prompt, self.taught, self.tokenizer.encode)

    def difference(self, reference: str, target: str, templates: Sequence[str] | None = None) -> Tensor:
        """`(D,)`: the mean over templates of E_T(target) − E_T(reference)."""
        templates = self.templates if templates is None else templates
        at_target = self.encode_text(fill_templates(target.strip(), templates))
        at_reference = self.encode_text(fill_templates(reference.strip(), templates))
        return (at_target - at_reference).mean(dim=0)

    def text_direction(self, reference: str, target: str, templates: Sequence[str] | None = None) -> Tensor:
        """ΔT `(D,)`, unit length: the difference of the prompts, normalised. Raises ShiftlabError where there is none to speak of."""
        for prompt, which in ((reference, "reference"), (target, "target")):
            if not prompt.strip():
                raise ShiftlabError(f'The {which} prompt is empty. Describe the {which} in a few words, such as "a photo of a person".')
        if reference.strip() == target.strip():
            raise ShiftlabError("Reference prompt and target prompt are the same. Change one of them: the edit follows the difference.")
        difference = self.difference(reference, target, templates)
        if difference.norm() < self.least_direction:
            raise ShiftlabError(self._no_direction(reference, target))
        return normalised(difference)

    def _no_direction(self, reference: str, target: str) -> str:
        words = " or ".join(f"“{word}”" for word in self.strange_words(f"{reference} {target}"))
        taught = f", for it was never taught {words}" if words else ""
        return (
            f"{self.name} sees no difference between “{reference.strip()}” and “{target.strip()}”{taught}. Use words that it knows, such "
            "as those of the presets, follow target images instead, or load a CLIP that has read more under Models."
        )

    def image_direction(self, sources: Tensor, targets: Tensor, batch: int = 32) -> Tensor:
        """`(D,)`, unit length: mean embedding of the target images minus that of the source images, each `(N, 3, H, W)` in [-1, 1]."""
        return normalised(self._mean_embedding(targets, batch) - self._mean_embedding(sources, batch))

    def _mean_embedding(self, images: Tensor, batch: int) -> Tensor:
        with torch.no_grad():
            return torch.cat([self.encode_image(part) for part in images.split(batch)]).mean(dim=0)


def build_clip(model_cfg: dict[str, Any]) -> open_clip.CLIP:
    """An untrained open_clip.CLIP after the `model_cfg` part of an open_clip_config.json (embed_dim, vision_cfg, text_cfg)."""
    return open_clip.CLIP(**model_cfg)


def save_clip(
    folder: Path, model: nn.Module, config: dict[str, Any], card: dict[str, Any], taught: Collection[int] | None = None
) -> None:
    """Writes what `load_clip` reads. config: {"model_cfg": …, "preprocess_cfg": {"mean", "std"}}; card may hold "name" and "templates".

    taught: the only tokens whose vectors are worth keeping; None keeps all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    save_file(state if taught is None else only_rows_of(state, taught), folder / WEIGHTS_FILE)
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n")
    (folder / CARD_FILE).write_text(json.dumps(card, indent=2) + "\n")


def load_clip(folder: Path, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Clip:
    """The embedded CLIP in a folder. Weights kept in half precision are read back as float32. Opens no connection.

    Raises ShiftlabError for what is missing or unreadable, for weights that do not fit, and for another project's text tower.
    """
    folder = Path(folder)
    weights_file = OPEN_CLIP_WEIGHTS_FILE if (folder / OPEN_CLIP_WEIGHTS_FILE).is_file() else WEIGHTS_FILE
    missing = [name for name in (CONFIG_FILE, weights_file) if not (folder / name).is_file()]
    if missing:
        raise ShiftlabError(f"The CLIP folder {folder.name!r} lacks {' and '.join(missing)}. Train it with `make pretrain`.")
    try:
        model, settings = _read(folder, weights_file)
    except UNREADABLE as error:
        raise ShiftlabError(f"The CLIP in {folder} cannot be read ({error}). Copy the folder anew, or choose another model.") from error
    return Clip(model, tokenizer(model.context_length), **settings, device=device, dtype=dtype)


@cache
def tokenizer(context_length: int) -> open_clip.SimpleTokenizer:
    """open_clip's standard one, made once for all: reading its 49,000 words takes longer than reading a small model."""
    return open_clip.SimpleTokenizer(context_length=context_length)


def _read(folder: Path, weights_file: str) -> tuple[open_clip.CLIP, dict[str, Any]]:
    """(the model, what Clip is to be told of it)."""
    config = json.loads((folder / CONFIG_FILE).read_text())
    card = json.loads((folder / CARD_FILE).read_text()) if (folder / CARD_FILE).is_file() else {}
    model_cfg, preprocess = config["model_cfg"], config["preprocess_cfg"]
    if model_cfg.get("custom_text") or any(key.startswith("hf_") for key in model_cfg["text_cfg"]):
        raise ValueError("its text tower or tokenizer is another project's, which is not kept here")
    model = build_clip(model_cfg)
    weights, taught = with_all_rows(load_file(folder / weights_file), model.vocab_size)
    model.load_state_dict({name: value.float() if value.is_floating_point() else value for name, value in weights.items()})
    mean, std = (torch.tensor(preprocess[key]).view(3).tolist() for key in ("mean", "std"))
    return model, {
        "name": card.get("name", folder.name),
        "image_size": int(model_cfg["vision_cfg"]["image_size"]),
        "mean": mean,
        "std": std,
        "templates": card.get("templates", PLAIN_TEMPLATES),
        "card": card,
        "taught": taught,
    }
