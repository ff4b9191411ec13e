"""The Data tab's card for labelled sets."""

from __future__ import annotations

import zipfile

import gradio as gr

from core.jobs.sets import SetShelf
from tests.adaptation.helpers import write_set
from tests.jobs.helpers import wait_until
from ui.data_labelled import LabelledCard
from ui.state import create_shared


def test_a_zip_is_told_and_handed_to_adapt(tmp_path):
    shelf = SetShelf(tmp_path / "sets")
    with gr.Blocks() as page:
        card = LabelledCard(shelf, create_shared(page))
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
