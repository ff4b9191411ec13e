"""Simulated shortage of memory: what is tried, in which order, what is told, and that the pictures stay the same."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from core.methods import METHODS
from core.methods.diffusionclip_settings import DiffusionCLIPEdit, DiffusionCLIPTune
from core.methods.domainstudio_settings import DomainStudioTune
from core.methods.egsde_train import EGSDETune
from core.methods.within_memory import edit_within_memory, lighter, train_within_memory
from core.types import Edit, EditCard, EditRequest, EditResult, ShiftlabError, StepEvent, TrainRequest


class Hungry:
    """Runs out of memory as long as `too_much` says so; otherwise the real method, or a made-up edit."""

    def __init__(self, too_much):
        self.too_much = too_much
        self.tried = []

    def train(self, request, context):
        self.tried.append(request.settings)
        yield StepEvent("train", 1, 2)
        if self.too_much(request.settings):
            raise torch.OutOfMemoryError("CUDA out of memory")
        yield Edit(EditCard(name=request.name, method="diffusionclip", base_fingerprint="", settings=request.settings.model_dump()), {})

    def edit(self, request, context):
        self.tried.append(len(request.images))
        if self.too_much(request):
            raise torch.OutOfMemoryError("CUDA out of memory")
        yield from METHODS["diffusionclip"].edit(request, context)


@pytest.mark.long
def test_a_training_goes_on_with_lighter_settings(context, images):
    hungry = Hungry(lambda settings: settings.mode == "chained" or settings.batch_size > 1)
    request = TrainRequest(images, DiffusionCLIPTune(batch_size=4), "sketch")
    *events, edit = train_within_memory(hungry, request, context)
    tried = [(settings.gradient_checkpointing, settings.batch_size, settings.mode) for settings in hungry.tried]
    assert tried == [(False, 4, "chained"), (True, 4, "chained"), (True, 2, "chained"), (True, 1, "chained"), (True, 1, "saving")]
    notes = [event.note for event in events if event.note]
    assert len(notes) == 4 and all(note in edit.card.note for note in notes) and "saving mode" in notes[-1]
    assert edit.card.settings["batch_size"] == 1


@pytest.mark.long
def test_idle_networks_go_first(context, images, monkeypatch):
    """Once; then what is lighter. The networks that are needed come back, so a second time would gain nothing."""
    parked = []
    monkeypatch.setattr("core.methods.within_memory.park_all", lambda: parked.append(1) or True)
    hungry = Hungry(lambda settings: settings.gradient_checkpointing is False or len(parked) < 2)
    *events, edit = train_within_memory(hungry, TrainRequest(images, DiffusionCLIPTune(batch_size=4), "sketch"), context)
    assert [settings.batch_size for settings in hungry.tried] == [4, 4, 4] and len(parked) == 2
    assert "idle networks wait" in edit.card.note and next(event.note for event in events if event.note) in edit.card.note

    settings = DiffusionCLIPEdit(return_step=201, generation_steps=2, grid="paper", inversion_steps=3)
    hungry = Hungry(lambda request: len(parked) < 4)
    *_, result = edit_within_memory(hungry, EditRequest(images, settings), context)
    assert hungry.tried == [3, 3, 1, 2] and "idle networks" in result.note and "groups of 1" in result.note


@pytest.mark.long
def test_a_training_that_never_fits_is_a_sentence(context, images):
    with pytest.raises(ShiftlabError, match="lightest settings"):
        list(train_within_memory(Hungry(lambda settings: True), TrainRequest(images, DiffusionCLIPTune(), "sketch"), context))


def test_a_resumed_training_keeps_its_batch_size():
    settings = DiffusionCLIPTune(batch_size=4, gradient_checkpointing=True)
    assert lighter(settings)[0].batch_size == 2
    assert (lighter(settings, resumed=True)[0].batch_size, lighter(settings, resumed=True)[0].mode) == (4, "saving")


@pytest.mark.parametrize(
    ("settings", "least"),
    [(DomainStudioTune(batch_size=4), 3), (EGSDETune(batch_size=2), 2), (DiffusionCLIPTune(batch_size=3, w_pairs=1), 2)],
)
def test_a_batch_never_gets_so_small_that_the_method_loses_something(settings, least):
    settings = settings.model_copy(update={"gradient_checkpointing": True}) if hasattr(settings, "gradient_checkpointing") else settings
    while (less := lighter(settings)) is not None:
        settings = less[0]
    assert settings.batch_size == least and type(settings)(**settings.model_dump()) == settings


@pytest.mark.long
def test_pictures_in_smaller_groups_are_the_same_pictures(context, images):
    settings = DiffusionCLIPEdit(return_step=201, generation_steps=2, grid="paper", inversion_steps=3, encoding="noise", eta=1.0)
    request = EditRequest(images, settings, seed=7)
    hungry = Hungry(lambda request: len(request.images) > 1)
    *_, result = edit_within_memory(hungry, request, context)
    *_, whole = METHODS["diffusionclip"].edit(request, context)
    assert hungry.tried == [3, 1, 2, 1, 1] and "groups of 1" in result.note
    assert isinstance(result, EditResult) and torch.allclose(result.images, whole.images, atol=1e-5)
    assert len(result.scores) == 3 and result.models == whole.models


@pytest.mark.long
def test_groups_keep_what_the_method_said_of_them(context, images):
    class Noting(Hungry):
        def edit(self, request, context):
            for event in super().edit(request, context):
                yield replace(event, note="Lower the return step.") if isinstance(event, EditResult) else event

    request = EditRequest(images, DiffusionCLIPEdit(generation_steps=2))
    *_, result = edit_within_memory(Noting(lambda request: len(request.images) > 1), request, context)
    assert result.note.endswith("groups of 1 or fewer. Lower the return step.")


@pytest.mark.long
def test_a_picture_that_never_fits_is_a_sentence(context, images):
    with pytest.raises(ShiftlabError, match="One picture alone"):
        list(edit_within_memory(Hungry(lambda request: True), EditRequest(images, DiffusionCLIPEdit()), context))


def test_other_errors_pass(context, images):
    class Broken(Hungry):
        def edit(self, request, context):
            raise RuntimeError("shapes")
            yield

    with pytest.raises(RuntimeError, match="shapes"):
        list(edit_within_memory(Broken(None), EditRequest(images, DiffusionCLIPEdit()), context))


@pytest.mark.long
def test_results_and_cards_record_the_models(context, images):
    *_, result = METHODS["diffusionclip"].edit(EditRequest(images[:1], DiffusionCLIPEdit(return_step=201, generation_steps=2)), context)
    expected = {part: f"{getattr(context, part).name} {getattr(context, part).fingerprint}" for part in ("base", "clip", "identity")}
    assert result.models == expected
    tune = DiffusionCLIPTune(images=1, epochs=1, training_steps=2, grid="paper", inversion_steps=3, sample_steps=2, mode="saving")
    *_, edit = METHODS["diffusionclip"].train(TrainRequest(images[:1], replace_prompts(tune), "sketch"), replace(context))
    assert expected.items() <= edit.card.versions.items()


def replace_prompts(settings):
    return settings.model_copy(update={"reference_prompt": "a photo", "target_prompt": "a sketch"})
