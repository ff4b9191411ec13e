"""A settings class becomes components with its bounds and help lines, and their values become the same settings again."""

from __future__ import annotations

from enum import Enum
from typing import ClassVar, Literal

import gradio as gr
import pytest
from pydantic import Field, field_validator

from core.types import Settings, ShiftlabError
from ui.forms import Form, build_form, settings_from


class Grid(Enum):
    LAB = "lab"
    PAPER = "paper"


class Sample(Settings):
    method: ClassVar[str] = "sample"
    prompt: str = Field("a photo", title="Prompt", description="what to see", min_length=1)
    return_step: int = Field(401, ge=1, le=981, title="Return step", description="how far back", json_schema_extra={"step": 20})
    strength: float = Field(1.0, ge=0, le=1, title="Strength", json_schema_extra={"step": 0.05})
    rate: float = Field(8e-6, gt=0, le=1e-2, title="Learning rate")
    live: bool = Field(True, title="Live")
    mode: Literal["chained", "saving"] = Field("chained", title="Mode")
    grid: Grid = Field(Grid.LAB, title="Grid")
    limit: int | None = Field(None, ge=1, title="Limit")
    hybrid: dict[int, list[float]] = Field(default_factory=dict, title="Mixture", json_schema_extra={"more": True})

    @field_validator("hybrid")
    @classmethod
    def _not_negative(cls, table: dict[int, list[float]]) -> dict[int, list[float]]:
        if any(ratio < 0 for ratios in table.values() for ratio in ratios):
            raise ValueError("ratios must be 0 or more")
        return table


@pytest.fixture(scope="module")
def form() -> Form:
    with gr.Blocks():
        return build_form(Sample, prefix="test-")


def filled(form: Form, **given: object) -> dict:
    return {part: given.get(name, part.value) for name, part in form.components.items()}


def test_untouched_form_reads_the_defaults(form: Form) -> None:
    assert form.read(filled(form)) == Sample()


def test_components_carry_bounds_steps_titles_and_help(form: Form) -> None:
    slider = form.components["return_step"]
    assert isinstance(slider, gr.Slider)
    assert (slider.minimum, slider.maximum, slider.step, slider.label, slider.elem_id) == (1, 981, 20, "Return step", "test-return-step")
    assert "how far back" in str(slider.info)
    kinds = {name: type(part).__name__ for name, part in form.components.items()}
    expected = {"prompt": "Textbox", "live": "Checkbox", "mode": "Dropdown", "grid": "Dropdown", "rate": "Textbox", "limit": "Textbox"}
    assert {name: kinds[name] for name in expected} == expected
    assert all(part.interactive for part in form.components.values())


def test_fields_marked_more_stand_under_one_closed_heading(form: Form) -> None:
    heading = form.components["hybrid"].parent
    while not isinstance(heading, gr.Accordion):
        assert heading is not None, "the field stands under no heading"
        heading = heading.parent
    assert heading.open is False


def test_values_become_settings(form: Form) -> None:
    typed = filled(form, prompt="a hat", return_step=601.0, rate="2e-6", grid="paper", limit=3, hybrid='{"401": [1, 0], "0": [1, 1]}')
    read = form.read(typed)
    assert isinstance(read, Sample)
    assert (read.return_step, read.rate, read.grid, read.limit) == (601, 2e-6, Grid.PAPER, 3)
    assert read.hybrid == {401: [1.0, 0.0], 0: [1.0, 1.0]}


def test_show_and_read_are_inverse(form: Form) -> None:
    settings = Sample(return_step=201, rate=3e-5, hybrid={0: [1.0, 0.5]}, limit=7, grid=Grid.PAPER)
    shown = [update["value"] for update in form.show(settings)]
    assert form.read(dict(zip(form.outputs(), shown, strict=True))) == settings


def test_show_leaves_fields_alone_that_are_not_named(form: Form) -> None:
    updates = dict(zip(form.components, form.show({"strength": 0.5}), strict=True))
    assert updates["strength"]["value"] == 0.5
    assert "value" not in updates["return_step"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"return_step": 1200}, "Return step must be at most 981; it is 1200."),
        ({"strength": -1}, "Strength must be at least 0; it is -1."),
        ({"rate": "0"}, "Learning rate must be more than 0"),
        ({"rate": "fast"}, "Learning rate must be a number."),
        ({"prompt": ""}, "Prompt must not be empty."),
        ({"hybrid": "{oops"}, "Mixture cannot be read. Write it like"),
        ({"hybrid": '{"0": [-1]}'}, "Mixture: ratios must be 0 or more."),
        ({"mode": "other"}, "Mode must be 'chained' or 'saving'."),
    ],
)
def test_what_is_wrong_is_a_sentence(form: Form, given: dict, said: str) -> None:
    with pytest.raises(ShiftlabError) as refused:
        form.read(filled(form, **given))
    assert said in str(refused.value)
    assert "pydantic" not in str(refused.value).lower()


def test_an_unknown_field_is_refused_in_words() -> None:
    with pytest.raises(ShiftlabError, match="is not a setting of this method"):
        settings_from(Sample, {"colour": 1})


def test_the_nearest_position_of_a_slider(form: Form) -> None:
    assert form.nearest("return_step", 500) == 501
    assert form.nearest("return_step", 5000) == 981
    assert form.nearest("rate", 1e-5) == 1e-5


def test_only_and_leave_out() -> None:
    with gr.Blocks():
        form = build_form(Sample, only=["strength", "mode", "live"], leave_out=["live"], values={"strength": 0.25})
    assert list(form.components) == ["strength", "mode"]
    assert form.read(filled(form), return_step=301) == Sample(strength=0.25, return_step=301)
