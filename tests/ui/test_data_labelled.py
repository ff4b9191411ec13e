"""The Data tab's card for labelled sets."""

from __future__ import annotations

import zipfile

import gradio as gr
import pytest

from core.data.labelled import read_set
from core.jobs.sets import READ, SetShelf
from tests.adaptation.helpers import write_set
from tests.jobs.helpers import wait_until
from tests.jobs.test_sets import restarted, zipped
from ui.data_labelled import LabelledCard
from ui.state import create_shared


@pytest.fixture
def card(tmp_path):
    with gr.Blocks() as page:
        return LabelledCard(SetShelf(tmp_path / "sets"), create_shared(page))


def test_a_zip_is_told_and_handed_to_adapt(card, tmp_path):
    shelf = card.shelf
    values = {card.shown: {}, card.pick: None, card.label: None}
    assert card.look(values)[card.card]["visible"] is False
    assert list(card.look(values)) == [card.told]  # nothing new
    files = sorted(write_set(tmp_path / "in", 3).rglob("*.png"))
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as file:
        for path in files:
            file.write(path, path.relative_to(tmp_path / "in").as_posix())
    values[card.drop] = str(tmp_path / "faces.zip")
    card.upload(values)
    wait_until(lambda: shelf.entries()[0].ready)
    card.look(values)
    id = values[card.shown]["id"]
    told = card.choose({**values, card.pick: id, card.shown: {"id": id}})
    assert "6 pictures" in told[card.told] and told[card.label]["value"] == "class"
    card.choose_label({**values, card.label: "class"})
    assert shelf.latest() == id and card.adapt(values)[card.shared.to_adapt] == id


def test_a_reading_that_a_restart_ended_is_begun_again(card, tmp_path):
    values = {card.shown: {}, card.drop: str(zipped(tmp_path / "in"))}
    card.upload(values)
    wait_until(lambda: card.shelf.entries()[0].ready)
    assert card.look({card.shown: {}})[card.again]["visible"] is False
    restarted(card.shelf)
    told = card.look(values)
    assert told[card.again]["visible"] and "Read it again" in told[card.told]
    card.read_again(values)
    wait_until(lambda: card.shelf.entries()[0].ready)
    assert "10 pictures" in card.look({card.shown: {}})[card.told]


def test_a_set_without_labels_that_was_read_once_is_told_as_unusable(card, tmp_path):
    folder = card.shelf.root / "bare"
    folder.mkdir(parents=True)
    (folder / "set.json").write_text('{"name": "bare"}')
    read_set(write_set(tmp_path / "in", 1), labels=False).save(folder / READ)
    told = card.look({card.shown: {}})
    assert "no label column" in told[card.told] and "failed" in told[card.told]
    assert told[card.label]["visible"] is told[card.to_adapt]["visible"] is False and card.shelf.latest() == ""
