"""The command line from end to end on tiny models, and what each end of it means."""

from __future__ import annotations

import json
import runpy
import shutil
import signal
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from core.cli.app import main
from core.cli.options import settings_options
from core.data.edits import load_edit, read_card, save_edit
from core.data.png import read_request
from core.methods import METHODS
from core.models.base import load_base
from core.models.clip import load_clip
from core.models.memory import Memory
from core.models.precision import dtype_of
from core.types import Edit, EditCard, ShiftlabError
from tests.models.random_checkpoints import random_ddpm
from tests.models.test_files import DDPM
from tests.tiny import write_base, write_clip, write_models
from tests.tiny_text_to_image import write_text_to_image

WALK = ["--return-step", "201", "--generation-steps", "2", "--grid", "paper", "--inversion-steps", "3"]
TUNE = ["--images", "2", "--epochs", "1", "--training-steps", "2", "--grid", "paper", "--inversion-steps", "3", "--sample-steps", "2"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """checkpoints/ with tiny models and one shipped edit, and two pictures."""
    folder = tmp_path_factory.mktemp("place")
    base = load_base(write_models(folder / "checkpoints") / "base")
    write_text_to_image(folder / "checkpoints" / "streets")
    weights = {name: tensor + 0.01 for name, tensor in base.state_dict().items()}
    prompts = {"reference_prompt": "a photo", "target_prompt": "a sketch"}
    card = EditCard(name="a sketch", method="diffusionclip", base_fingerprint=base.fingerprint, **prompts)
    save_edit(folder / "checkpoints" / "edits" / "sketch.safetensors", Edit(card, weights), base.state_dict())
    (folder / "faces").mkdir()
    for i in range(2):
        Image.new("RGB", (20, 20), (100 * i, 50, 200)).save(folder / "faces" / f"{i}.png")
    return folder


@pytest.fixture
def run(place, tmp_path, capsys):
    """Runs a command with these models and a fresh home; gives (status, stdout, stderr)."""

    def call(*words):
        where = ["--home", str(tmp_path / "home")]
        if words[0] != "models":
            where += ["--checkpoints", str(place / "checkpoints"), "--device", "cpu", "--precision", "fp32"]
        status = main([*map(str, words), *where])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


COMMANDS = ["edit", "edit diffusionclip", "tune", "tune diffusionclip", "tune resume", "invert", "models"]
COMMANDS += ["adapt", "adapt diffusionclip", "labelled", "classify", "audit"]
COMMANDS += [f"models {name}" for name in ("list", "inspect", "convert", "download", "remove", "keep", "mean", "bounds", "memory")]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_help(command, capsys):
    assert main([*command.split(), "--help"]) == 0
    printed = capsys.readouterr().out
    options = [line.split() for line in printed.splitlines() if line.lstrip().startswith("--")]
    assert "Usage: python -m core" in printed and all(len(words) > 1 for words in options)


@pytest.mark.parametrize("kind", ["edit", "tune"])
def test_help_is_made_of_the_settings_own_words(kind, capsys):
    cls = METHODS["diffusionclip"].edit_settings if kind == "edit" else METHODS["diffusionclip"].train_settings
    main([kind, "diffusionclip", "--help"])
    printed = " ".join(capsys.readouterr().out.split())
    for name, field in cls.model_fields.items():
        assert f"--{name.replace('_', '-')}" in printed and f"{field.title}: {field.description}" in printed
    assert len(settings_options(cls)) == len(cls.model_fields) + 1


@pytest.mark.long
def test_pictures_are_edited_and_carry_their_request(run, place, tmp_path):
    status, out, err = run("edit", "diffusionclip", place / "faces", "--edit", "sketch", "--out", tmp_path / "out", "--seed", 5, *WALK)
    assert status == 0, err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0-a-sketch.png", "1-a-sketch.png"]
    record = read_request(tmp_path / "out" / "1-a-sketch.png")
    assert (record["seed"], record["edits"], record["settings"]["return_step"]) == (6, ["shipped/sketch"], 201)
    assert set(record["models"]) == {"base", "clip", "identity"} and record["base"] in record["models"]["base"]
    assert "s_dir" in record["scores"] and "s_dir" in out and "generate 2/2" in err

    again = ("edit", "diffusionclip", place / "faces", "--edit", "sketch", "--out", tmp_path / "out")
    assert run(*again)[0] == 1  # nothing is replaced unasked
    same = run(*again, "--overwrite", "--seed", 5, "--settings", tmp_path / "out" / "0-a-sketch.png")
    assert same[0] == 0 and read_request(tmp_path / "out" / "1-a-sketch.png")["settings"] == record["settings"]


@pytest.mark.long
def test_strokes_are_redrawn_and_a_mask_keeps_the_rest(run, place, tmp_path):
    Image.new("RGB", (20, 20), "red").save(tmp_path / "strokes.png")
    (tmp_path / "masks").mkdir()
    for i in range(2):
        mask = Image.new("L", (16, 16), 0)
        mask.paste(255, (0, 0, 8, 16))
        mask.save(tmp_path / "masks" / f"{i}.png")
    drawn = ("--painted", tmp_path / "strokes.png", "--mask", tmp_path / "masks")
    words = ("edit", "sdedit", place / "faces", *drawn, "--generation-steps", 2)
    status, _, err = run(*words, "--out", tmp_path / "out")
    assert status == 0, err
    made, given = (np.asarray(Image.open(path).convert("RGB").resize((16, 16)), dtype=int) for path in
                   (tmp_path / "out" / "1-reconstruction.png", place / "faces" / "1.png"))  # fmt: skip
    assert np.abs(made - given)[:, 8:].max() <= 1 < np.abs(made - given)[:, :8].max()
    (tmp_path / "masks" / "1.png").unlink()
    assert "no mask for 1.png" in run(*words, "--out", tmp_path / "again")[2]
    assert run("edit", "diffusionclip", place / "faces", "--mask", tmp_path / "masks")[0] == 2  # which means nothing to it


@pytest.mark.long
def test_a_tuned_base_is_kept_and_named(run, place, tmp_path):
    name = run("models", "keep", "sketch", "--checkpoints", place / "checkpoints", "--name", "sketches")[1].strip()
    assert name == "sketches" and f"{'sketches':<24} base      here" in run("models", "list")[1]
    assert run("edit", "diffusionclip", place / "faces" / "0.png", "--base", name, "--out", tmp_path / "out", *WALK)[0] == 0
    bridge = ("edit", "ddib", place / "faces" / "0.png", *WALK, "--out", tmp_path)
    assert run(*bridge, "--edit", f"base/{name}")[0] == 0 and (tmp_path / "0-sketches.png").is_file()
    assert run(*bridge, "--edit", "base/base", "--base", name)[0] == 0, "and back"
    assert "There is no base 'nobody'" in run(*bridge, "--edit", "base/nobody")[2]


def test_the_mean_of_two_edits_is_an_edit(run, place, tmp_path):
    base = load_base(place / "checkpoints" / "base")
    shipped = load_edit(place / "checkpoints" / "edits" / "sketch.safetensors", base.state_dict())
    doubled = Edit(shipped.card, {name: 2 * weight - base.state_dict()[name] for name, weight in shipped.weights.items()})
    save_edit(tmp_path / "doubled.safetensors", doubled, base.state_dict())
    words = ("models", "mean", tmp_path / "mean.safetensors", "sketch", tmp_path / "doubled.safetensors", "--name", "both")
    where = ("--checkpoints", place / "checkpoints")
    status, out, err = run(*words, *where)
    assert (status, out.strip()) == (0, str(tmp_path / "mean.safetensors")), err
    made = load_edit(tmp_path / "mean.safetensors", base.state_dict())
    assert made.card.name == "both" and made.card.note == "the mean of a sketch; a sketch"
    name = next(iter(made.weights))
    assert torch.allclose(made.weights[name], base.state_dict()[name] + 0.015, atol=1e-5)
    assert "is there already" in run(*words, *where)[2]
    assert "does not end in .safetensors" in run("models", "mean", tmp_path / "mean", "sketch", "sketch", *where)[2]
    assert "two edits or more" in run("models", "mean", tmp_path / "one.safetensors", "sketch", *where)[2]
    assert not (tmp_path / "one.safetensors").exists()


@pytest.mark.long
def test_a_training_makes_an_edit_that_can_be_used(run, place, tmp_path):
    words = ("tune", "diffusionclip", place / "faces", "--reference-prompt", "a photo", "--target-prompt", "night", *TUNE)
    status, _, err = run(*words, "--name", "night", "--out", tmp_path / "night.safetensors")
    assert status == 0, err
    card = read_card(tmp_path / "night.safetensors")
    assert (card.name, card.settings["epochs"], card.weights) == ("night", 1, "half")
    (folder,) = (tmp_path / "home" / "runs").iterdir()
    assert set(json.loads((folder / "models.json").read_text())) == {"base", "clip", "identity"}
    assert run("edit", "diffusionclip", place / "faces" / "0.png", "--edit", folder.name, "--out", tmp_path, *WALK)[0] == 0


@pytest.mark.long
def test_an_interrupted_training_is_saved_and_resumed(run, place, tmp_path, monkeypatch):
    words = ("tune", "diffusionclip", place / "faces", "--reference-prompt", "a photo", "--target-prompt", "night", *TUNE)
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr("core.jobs.runs.RunFolder.add_numbers", lambda self, event: signal.raise_signal(signal.SIGINT))
    status, _, err = run(*words)
    monkeypatch.undo()
    assert status == 130 and "tune resume" in err and signal.getsignal(signal.SIGINT) is before
    (folder,) = (tmp_path / "home" / "runs").iterdir()
    assert list((folder / "checkpoints").iterdir())
    other = load_base(place / "checkpoints" / "base").unet
    with torch.no_grad():
        other.conv_in.bias += 1
    other.save_pretrained(tmp_path / "other")
    status, _, err = run("tune", "resume", folder.name, "--base", tmp_path / "other")
    assert status == 1 and "begun with the base" in err
    status, _, err = run("tune", "resume", folder.name)
    assert status == 0, err
    assert (folder / "edit.safetensors").is_file()


@pytest.fixture
def larger(tmp_path):
    """A text-to-image model of 32 px, twice the base's."""
    folder = write_text_to_image(tmp_path / "larger", seed=1)
    config = folder / "unet" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "sample_size": 16}))
    return folder


@pytest.mark.long
def test_datum_learns_and_draws_in_the_size_of_its_own_model(run, place, tmp_path, larger):
    Image.radial_gradient("L").resize((60, 40)).save(tmp_path / "wide.png")
    learn = ("tune", "datum", tmp_path / "wide.png", "--steps", 1, "--sample-steps", 2, "--checkpoint-every", 1, "--rank", 2)
    status, _, err = run(*learn, "--text-to-image", larger, "--out", tmp_path / "wide.safetensors")
    assert status == 0, err
    (folder,) = (tmp_path / "home" / "runs").iterdir()
    assert load_file(folder / "request.safetensors")["images"].shape == (1, 3, 64, 96), "the whole picture"
    draw = ("edit", "datum", tmp_path / "wide.png", "--generation-steps", 4, "--guidance", 1, "--out", tmp_path / "out")
    status, _, err = run(*draw, "--edit", folder.name, "--text-to-image", larger)
    assert status == 0, err
    assert Image.open(tmp_path / "out" / "wide-edit.png").size == (32, 32)
    assert "was personalised on the text-to-image model" in run(*draw, "--edit", folder.name, "--overwrite")[2]


@pytest.mark.long
def test_datum_draws_with_the_embedded_model_where_none_is_named(run, place, tmp_path):
    words = ("edit", "datum", place / "faces", "--instance-prompt", "a car", "--generation-steps", 2, "--out", tmp_path)
    status, _, err = run(*words)
    assert status == 0, err
    assert Image.open(tmp_path / "1-reconstruction.png").size == (16, 16)
    assert "learns one picture, and 2 are named" in run("tune", "datum", place / "faces")[2]
    status, _, err = run(*words, "--text-to-image", tmp_path / "nowhere", "--overwrite")
    assert status == 1 and "nowhere" in err
    assert run("edit", "diffusionclip", place / "faces", "--text-to-image", "streets")[0] == 2  # which means nothing to it


@pytest.mark.long
def test_inversion_is_kept_for_the_next_time(run, place, tmp_path):
    words = ("invert", place / "faces" / "0.png", "--out", tmp_path / "latents", *WALK[:2], *WALK[4:])
    assert run(*words)[0] == 0
    with safe_open(tmp_path / "latents" / "0.latents.safetensors", "pt") as file:
        assert file.get_tensor("latents").shape == (3, 3, 16, 16)
        assert file.metadata()["timesteps"] == "0,100,201" and "tiny base" in file.metadata()["base"]
    assert "(known)" in run(*words)[1]


@pytest.mark.long
def test_models_are_inspected_and_converted(run, tmp_path):
    torch.save(random_ddpm(DDPM), tmp_path / "mine.ckpt")
    status, _, err = run("models", "inspect", tmp_path / "mine.ckpt")
    assert status == 1 and "--image-size" in err
    status, out, _ = run("models", "inspect", tmp_path / "mine.ckpt", "--image-size", 16)
    assert status == 0 and "DDPM" in out and "attention at 8²" in out
    words = ("models", "convert", tmp_path / "mine.ckpt", tmp_path / "mine", "--image-size", 16, "--domain", "photo")
    assert run(*words)[0] == 0 and load_base(tmp_path / "mine").domain == "photo"
    assert run(*words)[0] == 1  # the folder is there
    assert run("models", "convert", tmp_path / "mine", tmp_path / "back.pt")[0] == 0
    assert run("models", "convert", tmp_path / "mine", tmp_path / "back.pt")[0] == 1  # so is the file
    assert torch.load(tmp_path / "back.pt", weights_only=True).keys() == random_ddpm(DDPM).keys()


@pytest.mark.long
def test_an_imported_base_goes_by_its_name(run, place, tmp_path):
    write_base(tmp_path / "home" / "models" / "mine", seed=1)
    card = tmp_path / "home" / "models" / "mine" / "card.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "kind": "base"}))
    assert f"{'mine':<24} base      here" in run("models", "list")[1]
    assert run("models", "inspect", "mine")[0] == 0
    assert run("invert", place / "faces" / "0.png", "--base", "mine", "--grid", "paper", "--inversion-steps", 2)[0] == 0


def test_floor_and_ceiling_are_measured_and_kept(run, place, tmp_path):
    for person in ("ann", "bea"):
        shutil.copytree(place / "faces", tmp_path / "people" / person)
    where = ("--checkpoints", place / "checkpoints", "--device", "cpu")
    status, out, err = run("models", "bounds", tmp_path / "people", "--no-align", *where)
    assert status == 0 and "tiny identity: Measured here on 4 pictures of 2 people" in out and "measure 4/4" in err
    (kept,) = json.loads((tmp_path / "home" / "bounds.json").read_text()).values()
    assert (kept["name"], kept["pictures"]) == ("tiny identity", 4)
    assert run("models", "bounds", tmp_path / "nowhere", *where)[0] == 1


def test_the_precision_comes_from_the_environment_too(run, place, tmp_path, monkeypatch):
    monkeypatch.setenv("SHIFTLAB_PRECISION", "fp64")
    words = ("invert", place / "faces" / "0.png", "--grid", "paper", "--inversion-steps", 2)
    assert run(*words)[0] == 0  # the command line says fp32
    status = main([*map(str, words), "--home", str(tmp_path / "home"), "--checkpoints", str(place / "checkpoints")])
    assert status == 1
    with pytest.raises(ShiftlabError, match="no precision 'fp64'"):
        dtype_of(None, "cpu")


def test_memory_is_told_as_computed(capsys, monkeypatch):
    asked = []
    for name in ("training_memory", "inference_memory"):
        monkeypatch.setattr(f"core.cli.memory.{name}", lambda **how: asked.append(how) or Memory(10**9, 2 * 10**9, 0, 10**8))
    assert main(["models", "memory", "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert printed.count(" 3.10 GB  (weights 1.00, Adam 2.00") == 4 and "not measured" in printed
    assert asked == [{}, {"base_on_cpu": False}, {"base_on_cpu": False, "gradient_checkpointing": False}, {}]


def test_the_status_is_the_process_s_own(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["core", "models", "inspect", "nowhere.ckpt"])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("core", run_name="__main__")
    assert end.value.code == 1 and capsys.readouterr().err.startswith("There is nothing at")


@pytest.mark.long
def test_models_are_listed_fetched_and_removed(run, place, tmp_path):
    mirror = tmp_path / "mirror"
    load_base(place / "checkpoints" / "base").unet.save_pretrained(mirror / "google" / "ddpm-ema-church-256")
    name, where = "ddpm-ema-church-256", ("--models", mirror)
    assert "in the mirror" in run("models", "list", *where)[1]
    assert run("models", "download", name)[0] == 1  # offline
    status, out, err = run("models", "download", name, *where)
    assert status == 0 and out.strip().endswith(name) and "download" in err
    assert f"{name:<24} base      here" in run("models", "list")[1]
    assert run("invert", place / "faces" / "0.png", "--base", name, "--grid", "paper", "--inversion-steps", 2)[0] == 0
    assert run("models", "remove", name)[0] == 0 and run("models", "remove", name)[0] == 1


@pytest.mark.long
def test_a_fetched_clip_goes_by_open_clip_s_name(run, place, tmp_path):
    words = ("edit", "diffusionclip", place / "faces" / "0.png", "--clip", "ViT-B-16:openai", *WALK, "--overwrite", "--out", tmp_path)
    status, _, err = run(*words)
    assert status == 1 and "models download ViT-B-16:openai" in err
    folder = write_clip(tmp_path / "mirror" / "clip-vit-b-16-openai", seed=1)
    assert run(*words, "--models", tmp_path / "mirror")[0] == 0
    mirrored = read_request(tmp_path / "0-reconstruction.png")["models"]["clip"]
    own = shutil.copytree(folder, tmp_path / "home" / "models" / "clip-vit-b-16-openai") / "card.json"
    own.write_text(json.dumps({**json.loads(own.read_text()), "kind": "clip"}))
    assert run(*words)[0] == 0 and read_request(tmp_path / "0-reconstruction.png")["models"]["clip"] == mirrored
    embedded = load_clip(place / "checkpoints" / "clip")
    assert mirrored.startswith("tiny clip") and embedded.fingerprint not in mirrored


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("edit", "diffusionclip", "FACES", "--return-step", "2000"), 2, "return-step"),
        (("edit", "diffusionclip", "FACES", "--hybrid", "{"), 2, "no JSON"),
        (("edit", "diffusionclip", "FACES", "--hybrid", '{"5": [-1]}'), 2, "hybrid"),
        (("edit", "diffusionclip"), 2, "PICTURES"),
        (("tune", "diffusionclip", "FACES", "--learning-rate", "0"), 2, "learning-rate"),
        (("tune", "diffusionclip", "FACES", "--form", "quarter"), 2, "--form"),
        (("edit", "diffusionclip", "nobody.png"), 1, "nobody.png"),
        (("edit", "diffusionclip", "FACES", "--edit", "nothing"), 1, "no edit 'nothing'"),
        (("edit", "diffusionclip", "FACES", "--base", "nowhere.ckpt"), 1, "nowhere.ckpt"),
        (("edit", "diffusionclip", "FACES", "--settings", "nowhere.json"), 1, "nowhere.json"),
        (("tune", "resume", "nothing"), 1, "no run 'nothing'"),
    ],
)
def test_what_goes_wrong_is_said_with_its_status(run, place, words, status, said):
    given = [str(place / "faces") if word == "FACES" else word for word in words]
    code, _, err = run(*given)
    assert code == status and said in err and "Traceback" not in err


def test_ctrl_c_is_130(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("core.cli.models.inspect", interrupted)
    assert main(["models", "inspect", "/"]) == 130
