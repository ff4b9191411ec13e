"""A text-to-image model that learns: copies of its networks with low-rank adapters (Hu et al., ICLR 2022) or with every weight free.

What comes of it is a dict of tensors as diffusers names them in LoRA files: `unet.<layer>.lora_A.weight`, `text_encoder.text_model.…`;
of whole networks, `unet.<weight>`. Adapters are written so that alpha equals the rank, which is what a reader assumes that is told nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from core.methods.datum_settings import Layers, OneShotTune
from core.models.text_to_image import TextToImage
from core.types import Edit, ShiftlabError

ADAPTER = "default"  # peft's own name for the only adapter
UNET, TEXT_ENCODER = "unet", "text_encoder"
TEXT_MODEL = "text_model."  # what transformers before version 5 called the text encoder's inside, and files do still
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
TEXT_ATTENTION = ("q_proj", "k_proj", "v_proj", "out_proj")
DOWN, UP = ".lora_A.weight", ".lora_B.weight"


class PromptStudent:
    """`model`: the text-to-image model that learns. `learning`: the parameters that do, by part and name. seed: of the adapters' start."""

    def __init__(self, model: TextToImage, settings: OneShotTune, seed: int = 0) -> None:
        self.rank = settings.rank
        self.scale = (settings.alpha or settings.rank) / settings.rank if settings.rank else 1.0
        self.networks: dict[str, nn.Module] = {UNET: copy.deepcopy(model.unet)}
        if settings.text_encoder:
            self.networks[TEXT_ENCODER] = copy.deepcopy(model.text_encoder)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for part, network in self.networks.items():
                network.requires_grad_(not settings.rank)
                if settings.rank:
                    _adapt(network, _layers(part, network, settings.layers), settings.rank, settings.alpha or settings.rank)
        if settings.gradient_checkpointing:
            self.networks[UNET].enable_gradient_checkpointing()
        self.model = model.with_parts(**self.networks)
        self.learning = dict(self._learning())
        self._embedded: dict[str, Tensor] = {}

    def embeddings(self, prompt: str, count: int) -> Tensor:
        """The prompt for `count` images, `(count, L, D)`; with gradient where the text encoder learns, else looked up."""
        if TEXT_ENCODER in self.networks:
            return self.model.embed([prompt]).expand(count, -1, -1)
        if prompt not in self._embedded:
            self._embedded[prompt] = self.model.embed([prompt])
        return self._embedded[prompt].expand(count, -1, -1)

    def weights(self) -> dict[str, Tensor]:
        """What an edit keeps, copied to the CPU; whole networks in half precision."""
        kept = {
            _file_name(name): weight.detach().cpu().clone(memory_format=torch.contiguous_format) for name, weight in self.learning.items()
        }
        if not self.rank:
            return {name: weight.half() for name, weight in kept.items()}
        return {name: weight * self.scale if name.endswith(UP) else weight for name, weight in kept.items()}

    def state(self) -> dict[str, Tensor]:
        """What `restore` takes."""
        return {name: weight.detach() for name, weight in self.learning.items()}

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continues from what `state` gave."""
        for name, weight in self.learning.items():
            weight.copy_(state[name])

    def _learning(self) -> Iterator[tuple[str, nn.Parameter]]:
        for part, network in self.networks.items():
            yield from ((f"{part}.{name}", weight) for name, weight in network.named_parameters() if weight.requires_grad)


@torch.no_grad()
def personalised(model: TextToImage, edit: Edit, *, override: bool = False) -> TextToImage:
    """The model as the edit made it, in networks of its own.

    Raises ShiftlabError for weights that do not fit, and for an edit of another model, unless override lets it pass.
    """
    if edit.card.base_fingerprint != model.fingerprint and not override:
        raise ShiftlabError(
            f"{edit.card.name!r} was personalised on the text-to-image model {edit.card.base_fingerprint}, but {model.fingerprint} "
            f"({model.name}) is loaded. Load that model, or personalise this one."
        )
    networks = {}
    try:
        for part in (UNET, TEXT_ENCODER):
            network = getattr(model, part)
            weights = {_own_name(name, network): weight for name, weight in edit.weights.items() if name.startswith(f"{part}.")}
            if weights:
                networks[part] = _with(copy.deepcopy(network), weights)
    except (RuntimeError, KeyError, AttributeError) as error:
        raise ShiftlabError(f"The weights of {edit.card.name!r} do not fit {model.name}. Choose what was personalised on it.") from error
    if not networks:
        raise ShiftlabError(f"{edit.card.name!r} holds no weights of a text-to-image model. Choose what was personalised on {model.name}.")
    return model.with_parts(**networks)


def _with(network: nn.Module, weights: Mapping[str, Tensor]) -> nn.Module:
    """The network with the adapters added to what they adapt, W + B·A, or with other weights in place of its own."""
    layers = [name.removesuffix(DOWN) for name in weights if name.endswith(DOWN)]
    if not layers:
        network.load_state_dict({**network.state_dict(), **{name: weight.float() for name, weight in weights.items()}})
    for name in layers:
        weight = network.get_submodule(name).weight
        down, up = (weights[f"{name}{end}"].to(weight.device, torch.float32) for end in (DOWN, UP))
        weight += (up.flatten(1) @ down.flatten(1)).view_as(weight)
    return network


def _adapt(network: nn.Module, layers: list[str], rank: int, alpha: int) -> None:
    """Adapters on these layers; only they learn. They begin as nothing."""
    from peft import LoraConfig, inject_adapter_in_model  # takes seconds to import

    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=alpha, target_modules=layers), network)


def _layers(part: str, network: nn.Module, layers: Layers) -> list[str]:
    """The names of the layers that get an adapter."""
    if part == TEXT_ENCODER:
        return [name for name, _ in network.named_modules() if name.endswith(TEXT_ATTENTION)]
    if layers == "all":
        return [name for name, module in network.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    within = ".attn2." if layers == "cross-attention" else "."
    return [name for name, _ in network.named_modules() if name.endswith(ATTENTION) and within in name]


def _file_name(name: str) -> str:
    """A parameter's name as it stands in files."""
    part, _, rest = name.replace(f".{ADAPTER}.weight", ".weight").partition(".")
    return f"{part}.{rest}" if part == UNET else f"{part}.{TEXT_MODEL}{rest.removeprefix(TEXT_MODEL)}"


def _own_name(name: str, network: nn.Module) -> str:
    """A file's name as the network has it, without the part."""
    rest = name.partition(".")[2].removeprefix(TEXT_MODEL)
    return f"{TEXT_MODEL}{rest}" if hasattr(network, TEXT_MODEL.rstrip(".")) else rest
