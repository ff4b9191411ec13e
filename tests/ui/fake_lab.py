"""A lab without networks: its methods have real settings and turn pictures grey, at once. What the page needs of `core.lab.Lab`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace

from core.methods.ddib import DDIBSettings
from core.methods.diffusionclip_settings import DiffusionCLIPEdit, DiffusionCLIPTune
from core.methods.egsde import EGSDESettings
from core.methods.egsde_train import EGSDETune
from core.methods.sdedit import SDEditSettings
from core.types import Edit, EditCard, EditRequest, EditResult, ShiftlabError, StepEvent

PHOTO, SKETCH = "a photo of a person", "a pencil sketch of a person"


def entry(
    key: str, target: str, shipped: bool = True, why_not: str = "", method: str = "diffusionclip", weights: str = "full"
) -> SimpleNamespace:
    card = EditCard(
        name=key.replace("-", " "), method=method, base_fingerprint="here" if not why_not else "elsewhere",
        reference_prompt=PHOTO if target else "", target_prompt=target, settings={"return_step": 601}, weights=weights,
    )  # fmt: skip
    return SimpleNamespace(key=key, name=card.name, card=card, shipped=shipped, usable=not why_not, why_not=why_not)


class DiffusionCLIP:
    edit_settings, train_settings = DiffusionCLIPEdit, DiffusionCLIPTune


class SDEdit:
    edit_settings, train_settings = SDEditSettings, None


class EGSDE:
    edit_settings, train_settings = EGSDESettings, EGSDETune


class DDIB:
    edit_settings, train_settings = DDIBSettings, None


class FakeLab:
    """`asked` keeps every request; `on_step` is called at each step, so that a test can change its mind in between."""

    def __init__(self) -> None:
        self.methods = {"diffusionclip": DiffusionCLIP(), "sdedit": SDEdit(), "egsde": EGSDE(), "ddib": DDIB()}
        self.base = SimpleNamespace(image_size=16, fingerprint="here")
        self.clip = None
        self.identity = SimpleNamespace(name="fake identity", floor=0.1, ceiling=0.9)
        self.perceptual = SimpleNamespace(name="fake features")
        self.forget()

    def forget(self) -> None:
        """As new: what is offered, and nothing asked yet."""
        self.offered = [
            entry("my-night", "a photo of a person at night", shipped=False),
            entry("pencil-sketch", "a pencil sketch of a person"),
            entry("alien", "an alien", why_not="The edit “alien” was made for another base."),
        ]
        self.asked: list[EditRequest] = []
        self.scored = 0
        self.on_step = lambda step: None

    def context(self) -> SimpleNamespace:
        return SimpleNamespace(base=self.base)

    def edits(self) -> list[SimpleNamespace]:
        return self.offered

    def load_edit(self, key: str) -> Edit:
        found = next((offered for offered in self.offered if offered.key == key), None)
        if found is None or not found.usable:
            raise ShiftlabError(found.why_not if found else "This edit is gone.")
        return Edit(found.card, {})

    def edit(self, request: EditRequest) -> Iterator[StepEvent | EditResult]:
        self.asked.append(request)
        grey, steps = request.images.mean(1, keepdim=True).expand_as(request.images), request.settings.generation_steps
        for step in range(1, steps + 1):
            self.on_step(step)
            yield StepEvent("generate", step, steps, images=grey if step == steps else None)
        self.scored += 1
        yield EditResult(grey, [{"identity": 0.7, "s_dir": 0.2, "perceptual": 0.3, "psnr": 20.0}], {"generate": 0.1, "cached": 1.0})

    def strip(self, request: EditRequest, strengths: Sequence[float]) -> Iterator[StepEvent | EditResult]:
        for strength in strengths:
            yield from self.edit(replace(request, settings=request.settings.model_copy(update={"strength": strength})))
