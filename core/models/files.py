"""Weight files that people bring: told what they are, opened as a base or as an edit, or refused with the reason.

    facts = inspect(path)            what it is, without building a network
    base = open_base(path)           a diffusers folder, or a checkpoint of the DDPM or guided-diffusion family
    edit = open_edit(path, base)     an edit of this lab, DiffusionCLIP's fine-tuned `.pth`, or Asyrp's delta block

Recognition by keys and shapes is core/models/recognise.py's; reading bytes without executing code is core/models/reading.py's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DModel
from torch import Tensor

from core.data import edits
from core.models.asyrp_files import DeltaWeights, delta_blocks, is_asyrp
from core.models.base import Base, load_base
from core.models.encoders import encoder_facts, encoder_kind
from core.models.facts import Facts, bytes_of
from core.models.fingerprint import weights_hash
from core.models.mapping import DDPMConfig, ddpm_to_diffusers, guided_to_diffusers
from core.models.pipeline_folder import is_pipeline
from core.models.precision import best_dtype
from core.models.reading import read_content, state_dict_of
from core.models.recognise import Network, recognise
from core.models.text_to_image import load_text_to_image
from core.models.unet_folder import load_weights, read_card, read_unet
from core.types import Edit, EditCard, ShiftlabError


def inspect(path: Path, *, image_size: int | None = None, head_channels: int | None = None, clip_name: str = "") -> Facts:
    """What lies at `path`, strictly checked but not put on a device. Raises ShiftlabError, with the reason, for what cannot be used.

    image_size, head_channels: of a network whose shapes do not say them; clip_name: open_clip's, of a CLIP model's weights.
    """
    path = Path(path)
    if path.is_dir():
        if is_pipeline(path):
            return _pipeline_facts(path)
        return encoder_facts(encoder, path) if (encoder := encoder_kind(path)) else _folder_facts(path)
    if _is_edit(path):
        return _edit_facts(path)
    content = read_content(path)
    if is_asyrp(content):
        return _asyrp_facts(path, delta_blocks(content))
    state = state_dict_of(content, path.name)
    if encoder := encoder_kind(path, state):
        return encoder_facts(encoder, path, clip_name=clip_name)
    shape = {"image_size": image_size, "head_channels": head_channels}
    network = recognise(state, **shape)
    unet = build_unet(network, state)
    details = {"architecture": _architecture(network), **_unet_details(unet)}
    fingerprint = weights_hash(unet.state_dict())
    return Facts(
        network.family, network.title, path, bytes_of(path), _parameters(unet), fingerprint, details, network.notes, shape
    )  # fmt: skip


def open_base(
    path: Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    image_size: int | None = None,
    head_channels: int | None = None,
    domain: str = "",
) -> Base:
    """The base in a diffusers folder or a checkpoint file. dtype None takes the device's best.

    Raises ShiftlabError, with the reason, for whatever is no base.
    """
    path = Path(path)
    if path.is_dir():
        return load_base(path, device=device, dtype=dtype)
    if _is_edit(path):
        raise ShiftlabError(f"{path.name} is an edit and no base. Choose it as an edit, on the base that its card names.")
    content = read_content(path)
    if is_asyrp(content):
        raise ShiftlabError(f"{path.name} is an edit of Asyrp and no base. Choose the base that it was trained for.")
    state = state_dict_of(content, path.name)
    unet = build_unet(recognise(state, image_size=image_size, head_channels=head_channels), state)
    return Base(unet, name=path.stem, domain=domain, device=device, dtype=best_dtype(device) if dtype is None else dtype)


def open_edit(path: Path, base: Base, *, reference_prompt: str = "", target_prompt: str = "", any_base: bool = False) -> Edit:
    """The edit in a file of this lab, in DiffusionCLIP's `.pth`, which has all weights of the fine-tuned network, or in Asyrp's.

    A `.pth` says neither its base nor its prompts: both are the caller's word, and the weights must at least fit. any_base lets an
    edit of this lab pass that was made for another base of the same shape. Raises ShiftlabError for what does not fit.
    """
    path = Path(path)
    if _is_edit(path):
        card = edits.read_card(path)
        if card.network == "base":  # other kinds are checked when they are used
            edits.check_base(card, base.fingerprint, override=any_base)
        return edits.load_edit(path, base.state_dict())
    content = read_content(path)
    if is_asyrp(content):
        method, own, weights = "asyrp", edits.OWN, _only_block(content, path.name)
    else:
        method, own, weights = "diffusionclip", "full", _fitting(state_dict_of(content, path.name), base, path.name)
    card = EditCard(
        name=path.stem,
        method=method,
        weights=own,
        base_fingerprint=base.fingerprint,
        reference_prompt=reference_prompt,
        target_prompt=target_prompt,
        note=f"Read from {path.name}, which does not name its base; {base.name} was stated.",
    )
    return Edit(card, weights)


def open_asyrp(path: Path) -> list[DeltaWeights]:
    """The delta blocks in a file of Asyrp. Raises ShiftlabError for a file that holds none."""
    content = read_content(Path(path))
    if not is_asyrp(content):
        raise ShiftlabError(f"{Path(path).name} holds no delta blocks of Asyrp. Choose another file.")
    return delta_blocks(content)


def _only_block(content: Mapping[str, Any], name: str) -> dict[str, Tensor]:
    """The weights of the delta block in a file of Asyrp; the released ones have one each."""
    blocks = delta_blocks(content)
    if len(blocks) > 1:
        raise ShiftlabError(f"{name} holds {len(blocks)} delta blocks, and an edit has one. Bring them as files of their own.")
    return blocks[0].weights


def build_unet(network: Network, state: Mapping[str, Tensor]) -> UNet2DModel:
    """The network with its weights in float32, loaded strictly."""
    arguments, weights = to_diffusers(network, state)
    with torch.device("meta"):  # its random initial weights would cost more time than reading the file
        unet = UNet2DModel(**arguments)
    unet = unet.to_empty(device="cpu")
    load_weights(unet, weights)
    return unet.eval()


def to_diffusers(network: Network, state: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """(arguments of UNet2DModel, its state dict)."""
    if isinstance(network.config, DDPMConfig):
        return ddpm_to_diffusers(state, network.config)
    return guided_to_diffusers(state, network.config)


def _fitting(state: Mapping[str, Tensor], base: Base, name: str) -> dict[str, Tensor]:
    """A fine-tuned state dict under our names, checked against the base that it is said to be of."""
    own = base.state_dict()
    heads = base.unet.config.attention_head_dim
    network = recognise(state, image_size=base.image_size, head_channels=heads)
    _, weights = to_diffusers(network, state)
    if weights.keys() != own.keys() or any(weights[key].shape != own[key].shape for key in own):
        raise ShiftlabError(f"{name} is of another network than the base {base.name} ({base.fingerprint}). Name the base it was made from.")
    return weights


def _is_edit(path: Path) -> bool:
    """Whether a file is an edit of this lab, told by the header alone."""
    if path.suffix != ".safetensors" or not path.is_file():
        return False
    try:
        edits.read_card(path)
    except ShiftlabError:
        return False
    return True


def _folder_facts(folder: Path) -> Facts:
    unet, card = read_unet(folder), read_card(folder)
    details = {key: str(card[key]) for key in ("name", "domain", "prediction") if card.get(key)} | _unet_details(unet)
    return Facts("folder", "diffusers UNet2DModel", folder, bytes_of(folder), _parameters(unet), weights_hash(unet.state_dict()), details)


def _pipeline_facts(folder: Path) -> Facts:
    model = load_text_to_image(folder)
    details = {
        "name": model.name, "images": f"{model.image_size} px", "latents": "×".join(map(str, model.latent_shape)),
        "prompts": f"{model.tokenizer.model_max_length} tokens", "prediction": model.prediction,
    }  # fmt: skip
    title = "diffusers pipeline of Stable Diffusion 1.x"
    return Facts("text_to_image", title, folder, bytes_of(folder), _parameters(model.model), model.fingerprint, details)


def _edit_facts(path: Path) -> Facts:
    card = edits.read_card(path)
    details = {"name": card.name, "method": card.method, "base": card.base_fingerprint, "weights": card.weights}
    details |= {key: value for key, value in (("reference", card.reference_prompt), ("target", card.target_prompt)) if value}
    return Facts("edit", f"edit by {card.method}", path, bytes_of(path), 0, "", details)


def _asyrp_facts(path: Path, blocks: list[DeltaWeights]) -> Facts:
    first = blocks[0]
    details = {"blocks": str(len(blocks)), "type": first.kind, "channels of h": str(first.channels), "embedding": str(first.embedding)}
    return Facts("asyrp", "edit by Asyrp", path, path.stat().st_size, sum(block.parameters for block in blocks), "", details)


def _architecture(network: Network) -> str:
    config = network.config
    if isinstance(config, DDPMConfig):
        attention = ", ".join(f"{size}²" for size in config.attn_resolutions) or "the middle only"
        return f"{config.ch} channels × {config.ch_mult}, {config.num_res_blocks} blocks a level, attention at {attention}, one head"
    sizes = ", ".join(f"{config.image_size // factor}²" for factor in config.attention_resolutions) or "the middle only"
    return (
        f"{config.model_channels} channels × {config.channel_mult}, {config.num_res_blocks} blocks a level, "
        f"attention at {sizes}, {config.num_head_channels} channels a head"
    )


def _unet_details(unet: UNet2DModel) -> dict[str, str]:
    sigma = unet.config.out_channels == 2 * unet.config.in_channels
    return {"image size": f"{unet.config.sample_size} px", "outputs": "ε and variance" if sigma else "ε"}


def _parameters(unet: UNet2DModel) -> int:
    return sum(parameter.numel() for parameter in unet.parameters())
