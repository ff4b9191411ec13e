"""Every event of the page that is no button: its handler reads nothing that it is not given, and changes nothing that it may not.

A handler that takes a dict finds in it the inputs that its event names, and no others; one that reads more fails on the page alone, where
nobody sees it. So the whole page is walked in the order in which it was built, each handler with just its own inputs.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from core.data.edits import save_edit
from core.lab import Lab
from core.types import Edit, EditCard
from tests.tiny import write_models
from ui.page import build_page

pytestmark = pytest.mark.long

BUTTONS = {"click", "upload", "submit"}  # they start jobs and want files: the browser's stories press them
SLOW = {"CurveEvents.show", "CurveEvents.take"}  # they measure a curve
NOTHING_YET = (IndexError,)  # of a shot, before anything was edited


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path / "home", write_models(tmp_path / "checkpoints"), "cpu")
    prompts = {"reference_prompt": "a photo of a person", "target_prompt": "a pencil sketch of a person"}
    card = EditCard(name="sketch", method="diffusionclip", base_fingerprint=lab.base.fingerprint, **prompts)
    save_edit(tmp_path / "checkpoints" / "edits" / "sketch.safetensors", Edit(card, lab.base.state_dict()), lab.base.state_dict())
    yield lab
    lab.close()


class Given(dict[Any, Any]):
    """The inputs of one event; what else is asked for is noted."""

    missing: list[str]

    def __missing__(self, part: Any) -> Any:
        self.missing.append(getattr(part, "elem_id", None) or str(part))
        raise KeyError(part)


def walked(event: Any, values: dict[Any, Any]) -> tuple[list[str], list[str]]:
    """(what the handler of an event reads beyond its inputs, what it changes beyond its outputs); values take what it changes."""
    given = Given({part: values.get(part) for part in event.inputs})
    given.missing, strange = [], []
    pointed = [SimpleNamespace(index=0, value="", selected=True, _data={}) for _ in list(inspect.signature(event.fn).parameters)[1:]]
    try:
        answer = event.fn(given, *pointed)
        for updates in answer if inspect.isgenerator(answer) else [answer]:
            strange += [getattr(part, "elem_id", None) or str(part) for part in updates if part not in event.outputs]
            for part, update in updates.items():
                change = update if isinstance(update, dict) and "__type__" in update else {"value": update}
                values |= {part: change["value"]} if "value" in change else {}
    except (KeyError, *NOTHING_YET):
        if not given.missing and not event.fn.__qualname__.endswith("choose_shot"):
            raise
    return given.missing, strange


def test_every_handler_is_given_what_it_reads(lab: Lab) -> None:
    page = build_page(lab)
    values = {part: copy.deepcopy(part.value) if isinstance(part, gr.State) else part.value
              for part in page.blocks.values() if hasattr(part, "value")}  # fmt: skip
    events = [event for event in page.fns.values() if event.fn is not None and event.inputs_as_dict]
    chosen = [event for event in events if not {kind for _, kind in event.targets} <= BUTTONS and event.fn.__qualname__ not in SLOW]
    assert len(chosen) > 80
    faults = {}
    for event in chosen:
        missing, strange = walked(event, values)
        if missing or strange:
            faults[f"{event.fn.__qualname__} {event.targets}"] = (missing, strange)
    assert not faults
