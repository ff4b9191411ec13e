"""DATUM's first two stages as jobs: learned, stopped, resumed, drawn, compared, on a tiny Stable Diffusion."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest
import torch
from PIL import Image

from core.adaptation.generated import Generation, generate_set, generated_pictures
from core.adaptation.jobs import in_foreground
from core.adaptation.likeness import likeness, read_likeness
from core.adaptation.oneshot_jobs import EDIT, GENERATED, SHOTS, GenerateTask, PersonaliseTask, kept_checkpoints
from core.data.edits import read_card
from core.data.images import to_pil
from core.data.png import read_request, write_png
from core.jobs.runs import RunFolder
from core.jobs.tasks import Tools
from core.lab import Lab
from core.methods.datum import DatumEdit
from core.methods.datum_domainstudio import PromptDomainStudioTune
from core.methods.datum_generate import plan
from core.methods.datum_settings import DatumTune, GenerateSettings
from core.metrics.diversity import pairwise
from core.models.text_to_image import load_text_to_image
from core.types import Context, EditRequest, EditResult, ShiftlabError, Stopped
from tests.jobs.helpers import finished as ended
from tests.tiny import write_models
from tests.tiny_text_to_image import IMAGE_SIZE, write_text_to_image

pytestmark = pytest.mark.long

LESSON = DatumTune(steps=4, checkpoint_every=2, sample_steps=2, rank=2, learning_rate=1e-2)
QUICK = GenerateSettings(steps=2, guidance=2.0, template="a photo of a {token} {class}")
TABLE = (("car", 2), ("bus", 1))


class Colours:
    """A measure of distances that needs no network."""

    name = "colours"

    @staticmethod
    def vectors(images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_text_to_image(write_text_to_image(tmp_path_factory.mktemp("models") / "tiny"), dtype=torch.float32)


@pytest.fixture
def context(model) -> Context:
    return Context(None, perceptual=Colours(), text_to_image=lambda: model)


@pytest.fixture
def tools(context) -> Tools:
    return Tools(context, {}, lambda key: None)


@pytest.fixture
def shot(tmp_path):
    image = to_pil(torch.rand(3, 20, 40, generator=torch.Generator().manual_seed(5)) * 2 - 1)
    return write_png(tmp_path / "night.png", image, {})


@pytest.fixture
def personalised(tools, shot, tmp_path):
    """The folder of a finished personalisation."""
    list(in_foreground(PersonaliseTask(images=(shot,), name="night", settings=LESSON), tmp_path / "personal", "x", tools))
    return tmp_path / "personal"


def test_checkpoints_are_kept_to_choose_from(personalised):
    assert [step for step, _ in kept_checkpoints(personalised)] == [2, 4]
    assert read_card(kept_checkpoints(personalised)[0][1]).metrics == {"step": 2}
    card = read_card(personalised / EDIT)
    assert card.name == "night" and card.metrics["step"] == 4 and "variety" in card.metrics
    assert Image.open(personalised / SHOTS / "0.png").size == (40, 20)
    assert [step for step, pictures in RunFolder(personalised).sample_strip() if len(pictures) == 4] == [2, 4]


def test_a_killed_personalisation_goes_on_without_its_original(tools, context, shot, tmp_path, personalised):
    task, seen = PersonaliseTask(images=(shot,), name="night", settings=LESSON), []
    stopping = replace(tools, context=replace(context, should_stop=lambda: len(seen) >= 3))
    with pytest.raises(Stopped):
        for event in in_foreground(task, tmp_path / "again", "x", stopping):
            seen.extend([event] if event.phase == "train" else [])
    shot.unlink()
    list(in_foreground(task, tmp_path / "again", "x", tools))
    for (step, one), (_, other) in zip(kept_checkpoints(personalised), kept_checkpoints(tmp_path / "again"), strict=True):
        assert one.read_bytes() == other.read_bytes(), step


def test_domainstudio_takes_several(tools, shot, tmp_path):
    settings = PromptDomainStudioTune(steps=1, sample_steps=2, class_images=3, batch_size=3)
    task = PersonaliseTask(images=(shot, shot), settings=settings)
    assert PersonaliseTask(**task.model_dump(mode="json")) == task  # as it comes back from the table of jobs
    list(in_foreground(task, tmp_path / "few", "x", tools))
    assert read_card(tmp_path / "few" / EDIT).method == "domainstudio_text"
    assert len(list((tmp_path / "few" / SHOTS).glob("*.png"))) == 2


def test_pictures_are_drawn_recorded_and_compared(tools, model, personalised, tmp_path):
    weights = kept_checkpoints(personalised)[0][1]
    task = GenerateTask(table=TABLE, weights=weights, settings=QUICK, seed=10, batch=2, compared=2)
    assert GenerateTask(**task.model_dump(mode="json")) == task
    events = list(in_foreground(task, tmp_path / "set", "x", tools))
    made = tmp_path / "set" / GENERATED
    rows = generated_pictures(made)
    assert [(row["class"], row["seed"]) for row in rows] == [("car", "10"), ("bus", "11"), ("car", "12")]
    assert rows[0]["prompt"] == "a photo of a ohwx car"
    record = read_request(made / rows[1]["file_name"])
    assert (record["class"], record["seed"], record["edit"]["step"]) == ("bus", 11, 2) and model.fingerprint in record["models"][
        "text_to_image"
    ]
    assert Image.open(made / "00002.png").size == (IMAGE_SIZE, IMAGE_SIZE)
    found = read_likeness(made)
    assert found["measure"] == "colours" and found["variety"] > 0 and events[-1].numbers["variety"] == found["variety"]
    before = generated_pictures(tmp_path / "set" / "unpersonalised")
    assert [row["prompt"] for row in before] == ["a photo of a car", "a photo of a bus"]


def test_prompts_without_the_token_are_warned_of(tools, personalised, tmp_path):
    plainly = QUICK.model_copy(update={"template": "a photo of a {class}"})
    task = GenerateTask(table=TABLE, weights=personalised / EDIT, settings=plainly, compared=0)
    assert "The prompts lack {token}" in next(in_foreground(task, tmp_path / "set", "x", tools)).note


def test_what_is_there_is_not_drawn_again(context, model, tmp_path):
    generation = Generation(plan(TABLE, QUICK, "ohwx", 0), model, QUICK, {}, 2)
    list(generate_set(generation, tmp_path, context))
    whole = {path.name: path.read_bytes() for path in tmp_path.glob("*.png")}
    (tmp_path / "00001.png").unlink()
    events = list(generate_set(generation, tmp_path, context))
    assert [event.step for event in events] == [2, 3] and "2 of 3 pictures were there already" in events[0].note
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.png")} == whole
    other = replace(generation, pictures=plan(TABLE, QUICK, "ohwx", 1))
    with pytest.raises(ShiftlabError, match="pictures of another request"):
        list(generate_set(other, tmp_path, context))
    with pytest.raises(ShiftlabError, match="not complete"):
        generated_pictures(tmp_path / "nowhere")


def test_copies_are_named(context, tmp_path):
    shades = {"made": (0, 100, 1, 210), "before": (0, 255)}
    for folder, values in shades.items():
        for place, value in enumerate(values):
            write_png(tmp_path / folder / f"{place}.png", Image.new("RGB", (8, 8), (value,) * 3), {})
    found = likeness(tmp_path / "made", [f"{i}.png" for i in range(4)], tmp_path / "before", ["0.png", "1.png"], context)
    assert [pair[:2] for pair in found["near_duplicates"]] == [
        ["0.png", "2.png"],
        ["1.png", "2.png"],
        ["0.png", "1.png"],
        ["1.png", "3.png"],
    ]
    assert found["variety"] == pytest.approx((100 / 255) ** 2, rel=1e-3)
    assert json.loads((tmp_path / "made" / "likeness.json").read_text()) == found
    context.perceptual = None
    assert likeness(tmp_path / "made", ["0.png"], tmp_path / "before", ["0.png"], context) == {}


def test_large_pictures_are_never_all_in_memory(context, tmp_path, monkeypatch):
    for place, value in enumerate((0, 100, 200)):
        write_png(tmp_path / f"{place}.png", Image.new("RGB", (256, 256), (value,) * 3), {})
    shapes = []
    monkeypatch.setattr("core.adaptation.likeness.pairwise", lambda look, x: shapes.append(x.shape) or pairwise(look, x))
    names = [f"{place}.png" for place in range(3)]
    assert likeness(tmp_path, names, tmp_path, names, context)["variety"] == pytest.approx(1)
    assert shapes == [(3, 3, 64, 64)] * 2


def test_what_cannot_run_says_so(tools, shot, tmp_path):
    for task, said in (
        (GenerateTask(table=(), settings=QUICK), "no class to generate"),
        (GenerateTask(table=TABLE, weights=tmp_path / "gone.safetensors"), "no personalised model at"),
        (GenerateTask(table=TABLE, weights=shot), "is not an edit of this lab"),
        (PersonaliseTask(images=(tmp_path / "gone.png",)), "not there any more"),
    ):
        with pytest.raises(ShiftlabError, match=said):
            list(task.run(tmp_path / "run", tools))
    small = write_png(tmp_path / "small.png", Image.new("RGB", (30, 12)), {})
    with pytest.raises(ShiftlabError, match="30×12 pixels, smaller than the model's crops"):
        list(PersonaliseTask(images=(small,)).run(tmp_path / "small", tools))
    with pytest.raises(ShiftlabError, match="No text-to-image model is here"):
        list(GenerateTask(table=TABLE).run(tmp_path / "run", replace(tools, context=Context(None))))


def test_from_one_image_to_an_edit_in_the_lab(tmp_path, shot):
    checkpoints = write_models(tmp_path / "checkpoints")
    write_text_to_image(checkpoints / "streets")
    lab = Lab(tmp_path / "home", checkpoints, "cpu", precision="fp32")
    try:
        learned = lab.start(PersonaliseTask(images=(shot,), name="night", settings=LESSON), "Night")
        weights = lab.get(learned).folder / "personalised" / "step_000002.safetensors"
        drawn = lab.start(GenerateTask(table=TABLE, weights=weights, settings=QUICK, compared=2), "Nights")
        assert (ended(lab, learned), ended(lab, drawn)) == ("done", "done")
        folder = lab.get(drawn).folder
        assert len(generated_pictures(folder / GENERATED)) == 3 and "The pictures vary" in (folder / "log.txt").read_text()
        entry = next(entry for entry in lab.edits() if entry.key == f"run/{learned}")
        assert entry.usable and entry.name == "night"
        request = EditRequest(torch.zeros(1, 3, 16, 16), DatumEdit(generation_steps=2), (lab.load_edit(entry.key),))
        assert isinstance(list(lab.edit(request))[-1], EditResult)
    finally:
        lab.close()


def test_the_table_is_one_that_spreadsheets_read(context, model, tmp_path):
    list(generate_set(Generation(plan((("car, red", 1),), QUICK, "", 0), model, QUICK, {}), tmp_path, context))
    with (tmp_path / "metadata.csv").open(newline="") as file:
        assert next(csv.DictReader(file))["class"] == "car, red"
