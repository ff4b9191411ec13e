"""CLIP models and identity encoders as people bring them: told what they are, taken in, and opened again with the same weights."""

from __future__ import annotations

import json
from pathlib import Path

import open_clip
import pytest
import torch
from facenet_pytorch import InceptionResnetV1
from safetensors.torch import save_file

from core.models.clip import IMAGENET_TEMPLATES, load_clip
from core.models.clip_hub import load_open_clip
from core.models.files import inspect
from core.models.identity import load_identity
from core.models.shelf import Shelf
from core.types import ShiftlabError
from tests.tiny import CLIP_CONFIG, CLIP_PREPROCESSING, write_clip, write_identity


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "home", tmp_path / "checkpoints", torch.device("cpu"))


@pytest.fixture
def tiny_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """open_clip knows a model called "tiny"."""
    known = open_clip.get_model_config
    monkeypatch.setattr(open_clip, "get_model_config", lambda name: CLIP_CONFIG if name == "tiny" else known(name))
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "tiny", CLIP_CONFIG)


@pytest.mark.parametrize(("kind", "write"), [("clip", write_clip), ("identity", write_identity)])
def test_a_folder_is_told_and_taken_in(shelf, tmp_path, kind, write):
    facts = inspect(write(tmp_path / "brought", seed=3))
    assert (facts.kind, facts.details["name"]) == (kind, f"tiny {kind}") and facts.parameters and facts.bytes
    assert facts.details.get("floor, ceiling", "0.10, 0.90") == "0.10, 0.90"
    model = shelf.use(kind, shelf.add(facts, "hers"))
    assert (model.name, model.fingerprint) == ("hers", facts.fingerprint)
    assert inspect(shelf.told(kind, model).where).fingerprint == facts.fingerprint


@pytest.mark.long
def test_a_file_of_clip_weights_needs_its_model_s_name(shelf, tmp_path, tiny_named):
    folder = write_clip(tmp_path / "brought", seed=3)
    weights = (folder / "model.safetensors").rename(tmp_path / "weights.safetensors")
    with pytest.raises(ShiftlabError, match="does not say which"):
        inspect(weights)
    with pytest.raises(ShiftlabError, match="no model 'nobody'"):
        inspect(weights, clip_name="nobody")
    with pytest.raises(ShiftlabError, match="could not be read"):
        inspect(weights, clip_name="RN50")
    facts = inspect(weights, clip_name="tiny")
    model = shelf.use("clip", shelf.add(facts, "hers"))
    assert model.fingerprint == facts.fingerprint and model.templates == IMAGENET_TEMPLATES


@pytest.mark.long
def test_the_activation_that_a_file_leaves_open_is_told(shelf, tmp_path, tiny_named, monkeypatch):
    weights = (write_clip(tmp_path / "brought") / "model.safetensors").rename(tmp_path / "weights.safetensors")
    assert inspect(weights, clip_name="tiny").notes == (), "open_clip knows it in one form alone"
    quick = {**CLIP_CONFIG, "quick_gelu": True}
    known = open_clip.get_model_config
    monkeypatch.setattr(open_clip, "get_model_config", lambda name: quick if name == "tiny-quickgelu" else known(name))
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "tiny-quickgelu", quick)
    (note,) = inspect(weights, clip_name="tiny").notes
    assert note.startswith("GELU was assumed") and note.endswith("say tiny-quickgelu.")
    assert load_open_clip("tiny", str(weights)).name == "tiny (weights.safetensors, GELU assumed)"
    stated = inspect(weights, clip_name="tiny-quickgelu")
    assert stated.notes == () and stated.details["name"] == "tiny-quickgelu (weights.safetensors)"
    plain, quick = (shelf.use("clip", shelf.add(inspect(weights, clip_name=name), name)) for name in ("tiny", "tiny-quickgelu"))
    assert plain.fingerprint == quick.fingerprint and not torch.equal(plain.encode_text(["a cat"]), quick.encode_text(["a cat"]))


FAULTS = {
    "no JSON": lambda folder, config: (folder / config).write_text("{"),
    "a list": lambda folder, config: (folder / config).write_text("[]"),
    "nothing said": lambda folder, config: (folder / config).write_text('{"architecture": "test_resnet"}'),
    "damaged card": lambda folder, config: (folder / "card.json").write_text("{"),
    "truncated": lambda folder, config: (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:1000]),
    "other weights": lambda folder, config: save_file({"a": torch.zeros(1)}, folder / "model.safetensors"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    ("write", "load", "config", "what"),
    [
        (write_clip, load_clip, "open_clip_config.json", "The CLIP"),
        (write_identity, load_identity, "config.json", "The identity encoder"),
    ],
)
def test_every_fault_of_a_folder_is_a_sentence(tmp_path, fault, write, load, config, what):
    folder = write(tmp_path / "brought")
    FAULTS[fault](folder, config)
    with pytest.raises(ShiftlabError, match=f"{what} in .*brought cannot be read"):
        load(folder)


@pytest.mark.parametrize("change", [{"custom_text": True}, {"text_cfg": {**CLIP_CONFIG["text_cfg"], "hf_model_name": "roberta-base"}}])
def test_another_project_s_text_tower_is_a_sentence(tmp_path, change):
    folder = write_clip(tmp_path / "brought")
    config = {"model_cfg": {**CLIP_CONFIG, **change}, "preprocess_cfg": CLIP_PREPROCESSING}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(ShiftlabError, match=r"The CLIP in .*brought cannot be read .its text tower or tokenizer is another project"):
        inspect(folder)


def test_a_network_that_timm_does_not_know_is_a_sentence(tmp_path):
    folder = write_identity(tmp_path / "brought")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architecture": "nobody_s_net"}))
    with pytest.raises(ShiftlabError, match=r"The identity encoder in .*brought cannot be read .Unknown model"):
        inspect(folder)


@pytest.mark.long
def test_facenet_s_file_is_an_identity_encoder(shelf, tmp_path):
    state = InceptionResnetV1(pretrained=None, classify=False).state_dict()
    torch.save(state | {"logits.weight": torch.zeros(2, 512), "logits.bias": torch.zeros(2)}, tmp_path / "vggface2.pt")
    facts = inspect(tmp_path / "vggface2.pt")
    assert facts.kind == "identity" and facts.details["floor, ceiling"] == "not measured"
    name = shelf.add(facts, "FaceNet")
    encoder = shelf.use("identity", name)
    card = json.loads((shelf.home / "models" / name / "card.json").read_text())
    assert encoder.fingerprint == facts.fingerprint == card["fingerprint"]
    assert inspect(shelf.home / "models" / name).kind == "identity"
    del state["last_bn.bias"]
    torch.save(state, tmp_path / "torn.pt")
    with pytest.raises(ShiftlabError, match="not all of them"):
        inspect(tmp_path / "torn.pt")


def test_nothing_half_written_stays(shelf, tmp_path, monkeypatch):
    facts = inspect(write_clip(tmp_path / "brought"))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copytree", full)
    with pytest.raises(ShiftlabError, match="No space left"):
        shelf.add(facts, "hers")
    assert list((shelf.home / "models").iterdir()) == []
