"""The lab: what is loaded and what is not, edits by key, one process a home, and the whole way with tiny models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from facenet_pytorch import InceptionResnetV1

from core.data.edits import save_edit
from core.lab import Lab
from core.methods.asyrp_settings import AsyrpEdit
from core.methods.diffusionclip_settings import DiffusionCLIPEdit, DiffusionCLIPTune
from core.types import Edit, EditCard, EditRequest, EditResult, ShiftlabError
from tests.jobs.helpers import finished
from tests.methods.conftest import short_curve
from tests.tiny import drained, write_base, write_models

TUNE = DiffusionCLIPTune(
    target_prompt="a sketch", images=2, epochs=1, training_steps=2, grid="paper", inversion_steps=3, sample_every=2, sample_steps=2
)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture
def open_lab(tmp_path: Path) -> Iterator[Callable[[Path], Lab]]:
    labs: list[Lab] = []

    def make(checkpoints: Path) -> Lab:
        labs.append(Lab(tmp_path / "home", checkpoints, "cpu"))
        return labs[-1]

    yield make
    for lab in labs:
        lab.close()


def images(count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def ship(checkpoints: Path, lab: Lab, name: str, fingerprint: str) -> Edit:
    """An edit in checkpoints/edits that adds 0.01 to every weight."""
    assert lab.base is not None
    state = lab.base.state_dict()
    edit = Edit(
        EditCard(name=name, method="diffusionclip", base_fingerprint=fingerprint), {key: value + 0.01 for key, value in state.items()}
    )
    save_edit(checkpoints / "edits" / f"{name}.safetensors", edit, state)
    return edit


def test_the_whole_way_with_tiny_models(checkpoints: Path, open_lab: Callable[[Path], Lab]) -> None:
    lab = open_lab(checkpoints)
    estimate = lab.estimate("diffusionclip", TUNE, images=2)
    assert estimate.seconds > 0 and estimate.bytes > 0 and "stimate" in estimate.note
    id = lab.submit("diffusionclip", TUNE, images(), "sketch", seed=3)
    assert finished(lab, id) == "done", lab.get(id).message
    assert {row["phase"] for row in lab.events(id)} == {"train", "sample"}

    edit = lab.load_edit(f"run/{id}")
    assert edit.card.name == "sketch" and edit is lab.load_edit(f"run/{id}")
    settings = DiffusionCLIPEdit(return_step=301, generation_steps=2, grid="paper", inversion_steps=3)
    *steps, result = lab.edit(EditRequest(images(1), settings, (edit,)))
    assert steps and isinstance(result, EditResult)
    assert result.images.shape == (1, 3, 16, 16)


@pytest.mark.long
def test_a_tuned_base_becomes_the_base(tmp_path: Path, open_lab: Callable[[Path], Lab]) -> None:
    lab = open_lab(write_models(tmp_path / "models"))
    assert lab.base is not None
    first = lab.base.fingerprint
    ship(tmp_path / "models", lab, "paintings", first)
    switched = lab.use("base", lab.keep_tuned("shipped/paintings"))
    assert switched.model == "paintings" and switched.lost == ("paintings",) and lab.base.fingerprint != first
    second = lab.load_edit("base/base")  # DDIB leads back with it
    assert first == lab.base.tuned(second.weights).fingerprint


@pytest.mark.long
def test_the_curve_is_kept_in_the_home(checkpoints: Path, open_lab: Callable[[Path], Lab], monkeypatch: pytest.MonkeyPatch) -> None:
    short_curve(monkeypatch)
    lab = open_lab(checkpoints)
    events, curve = drained(lab.curve())
    assert events and drained(lab.curve()) == ([], curve) and list((lab.home / "cache" / "measured").iterdir())


@pytest.mark.long
def test_facenet_serves_an_edit_and_the_curve(
    checkpoints: Path, open_lab: Callable[[Path], Lab], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))  # where no AlexNet is
    short_curve(monkeypatch)
    torch.save(InceptionResnetV1(pretrained=None).state_dict(), tmp_path / "faces.pt")
    lab = open_lab(checkpoints)
    lab.use("identity", str(tmp_path / "faces.pt"))
    settings = DiffusionCLIPEdit(return_step=301, generation_steps=2, grid="paper", inversion_steps=3)
    *_, result = lab.edit(EditRequest(images(1), settings))
    assert isinstance(result, EditResult) and result.scores[0].keys() >= {"identity", "perceptual"}
    assert "FaceNet" in drained(lab.curve())[1].extractor


@pytest.mark.long
def test_a_strip_has_a_result_a_strength(checkpoints: Path, open_lab: Callable[[Path], Lab]) -> None:
    lab = open_lab(checkpoints)
    assert lab.base is not None
    for settings in (DiffusionCLIPEdit(generation_steps=2, grid="paper", inversion_steps=3), AsyrpEdit(generation_steps=2, t_boost=0)):
        results = [event for event in lab.strip(EditRequest(images(1), settings), [0.0, 1.0]) if isinstance(event, EditResult)]
        assert [len(result.images) for result in results] == [1, 1]


def test_a_strip_without_memory_is_refused_in_words(
    checkpoints: Path, open_lab: Callable[[Path], Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.lab.at_strengths", lambda *given: (torch.empty(2**60) for _ in "x"))
    with pytest.raises(ShiftlabError, match="ran out of memory"):
        list(open_lab(checkpoints).strip(EditRequest(images(1), DiffusionCLIPEdit()), [1.0]))


def test_an_empty_checkpoints_folder_is_told_and_refused_in_words(tmp_path: Path, open_lab: Callable[[Path], Lab]) -> None:
    lab = open_lab(tmp_path / "nothing")
    assert (lab.base, lab.clip, lab.identity, lab.perceptual, lab.edits()) == (None, None, None, None, [])
    status = lab.status()
    assert (status.base, status.clip, status.identity, status.job) == ("none", "none", "none", "")
    assert status.device.startswith("cpu") and status.memory.endswith("GiB")
    with pytest.raises(ShiftlabError, match="No base is loaded"):
        lab.submit("diffusionclip", TUNE, images(), "sketch")


def test_a_broken_model_is_told_and_the_rest_works(tmp_path: Path, open_lab: Callable[[Path], Lab]) -> None:
    write_base(tmp_path / "models" / "base")
    (tmp_path / "models" / "clip").mkdir()
    lab = open_lab(tmp_path / "models")
    assert lab.base is not None and lab.clip is None
    assert lab.status().clip.startswith("unreadable: The CLIP folder")


def test_edits_of_another_base_are_listed_but_not_usable(tmp_path: Path, open_lab: Callable[[Path], Lab]) -> None:
    write_base(tmp_path / "models" / "base")
    lab = open_lab(tmp_path / "models")
    assert lab.base is not None
    edit = ship(tmp_path / "models", lab, "own", lab.base.fingerprint)
    ship(tmp_path / "models", lab, "strange", "0" * 16)
    (tmp_path / "models" / "edits" / "torn.safetensors").write_bytes(b"no edit")
    own, strange = lab.edits()
    assert (own.key, own.shipped, own.usable, own.why_not) == ("shipped/own", True, True, "")
    assert not strange.usable and "0" * 16 in strange.why_not
    loaded = lab.load_edit("shipped/own")
    assert all(torch.allclose(loaded.weights[name], value, atol=1e-4) for name, value in edit.weights.items())
    with pytest.raises(ShiftlabError, match="There is no edit"):
        lab.load_edit("shipped/nothing")


def test_a_home_belongs_to_one_lab_at_a_time(tmp_path: Path, open_lab: Callable[[Path], Lab]) -> None:
    first = open_lab(tmp_path / "nothing")
    with pytest.raises(ShiftlabError, match="in use by another Shiftlab"):
        open_lab(tmp_path / "nothing")
    first.close()
    open_lab(tmp_path / "nothing")


@pytest.mark.long
@pytest.mark.parametrize(("name", "images", "match"), [("", images(), "no name"), ("edit", images(0), "no images")])
def test_what_cannot_be_run_is_refused_at_once(
    checkpoints: Path, open_lab: Callable[[Path], Lab], name: str, images: torch.Tensor, match: str
) -> None:
    lab = open_lab(checkpoints)
    with pytest.raises(ShiftlabError, match=match):
        lab.submit("diffusionclip", TUNE, images, name)
    assert lab.list() == []


def test_an_unknown_device_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ShiftlabError, match="'abacus' is not there"):
        Lab(tmp_path / "home", tmp_path, "abacus")
