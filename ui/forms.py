"""A settings class becomes components, and their values become settings again. This is the only place where that happens.

Bounds, titles, help lines, units and steps stand in the class (`core.types.Settings`); nothing here knows a method.

    form = build_form(DiffusionCLIPSettings)
    button.click(lambda values: run(form.read(values)), inputs=form.inputs(), ...)   # a set of components: values is a dict by component
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
import gradio as gr
from gradio.components import Component
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from core.types import Settings, ShiftlabError

MOST_POSITIONS = 10_000  # of a slider whose step the settings name
FINE_POSITIONS = 400  # of one whose step we chose: a range that is wide against its usual values is a number box


@dataclass(frozen=True)
class Form:
    """The components of one settings class by field name. Fields without a component keep the value that `read` is given as `rest`."""

    settings_class: type[Settings]
    components: dict[str, Component]

    def inputs(self) -> set[Component]:
        """For an event's `inputs`: the handler then gets a dict by component, which `read` takes."""
        return set(self.components.values())

    def outputs(self) -> list[Component]:
        """For an event's `outputs`, in the order of `show`."""
        return list(self.components.values())

    def read(self, values: Mapping[Component, Any], **rest: Any) -> Settings:
        """Settings from what stands in the form; `rest` gives or overrides fields by name. Raises ShiftlabError, a sentence a field."""
        fields = self.settings_class.model_fields
        given = {name: _from_page(values[part], fields[name]) for name, part in self.components.items() if name not in rest}
        return settings_from(self.settings_class, {**given, **rest})

    def nearest(self, name: str, value: float) -> float:
        """The position of a field's slider that is nearest to a value; the value itself where the field has no slider."""
        part = self.components.get(name)
        if not isinstance(part, gr.Slider) or not part.step:
            return value
        at = part.minimum + round((value - part.minimum) / part.step) * part.step
        return min(part.maximum, max(part.minimum, at))

    def show(self, settings: Settings | Mapping[str, Any]) -> list[Any]:
        """Values for `outputs()`; a field that a mapping does not name is left as it is."""
        given = settings.model_dump() if isinstance(settings, Settings) else dict(settings)
        fields = self.settings_class.model_fields
        return [gr.update(value=_to_page(given[name], fields[name])) if name in given else gr.skip() for name in self.components]


def build_form(
    settings_class: type[Settings],
    only: Iterable[str] | None = None,
    leave_out: Iterable[str] = (),
    values: Mapping[str, Any] | None = None,
    more: str = "More settings",
    prefix: str = "",
) -> Form:
    """Components for the fields of a settings class, inside the Blocks context that is open.

    only, leave_out: field names to take or leave; values: other starting values than the defaults; more: the closed heading under which
    fields marked `more` stand; prefix: of the elem_ids, `<prefix><field>` with dashes.
    """
    fields = settings_class.model_fields
    taken = [name for name in (fields if only is None else only) if name not in set(leave_out)]
    folded = [name for name in taken if extra(fields[name]).get("more")]
    start = values or {}

    def make(name: str) -> Component:
        value = start.get(name, fields[name].get_default(call_default_factory=True))
        return component_for(name, fields[name], value, f"{prefix}{name}".replace("_", "-"))

    made = {name: make(name) for name in taken if name not in folded}
    if folded:
        with gr.Accordion(more, open=False, elem_classes="more"):
            made |= {name: make(name) for name in folded}
    return Form(settings_class, {name: made[name] for name in taken})


def component_for(name: str, field: FieldInfo, value: Any, elem_id: str) -> Component:
    """The component that suits a field's type and bounds, with its help line."""
    kind, optional = _kind(field.annotation)
    common: dict[str, Any] = {"label": label_of(name, field), "info": field.description, "interactive": True, "elem_id": elem_id}
    shown = _to_page(value, field)
    if kind is bool:
        return gr.Checkbox(shown, **common)
    choices = _choices(kind)
    if choices:
        return gr.Dropdown([(str(choice).replace("_", " "), choice) for choice in choices], value=shown, **common)
    if kind in (int, float):
        return _number(kind, field, shown, optional, common)
    return gr.Textbox(shown, lines=1, max_lines=extra(field).get("lines", 1), **common)


def settings_from(settings_class: type[Settings], given: Mapping[str, Any]) -> Settings:
    """Validated settings, or ShiftlabError whose text names each field by its title."""
    try:
        return settings_class(**given)
    except ValidationError as error:
        raise ShiftlabError(" ".join(sentence(settings_class, problem) for problem in error.errors())) from error


def sentence(settings_class: type[Settings], problem: Mapping[str, Any]) -> str:
    """One of pydantic's problems as a sentence for the person at the page."""
    name = str(problem["loc"][0]) if problem["loc"] else ""
    field = settings_class.model_fields.get(name)
    title = label_of(name, field) if field else name
    limit = problem.get("ctx", {})
    said = {
        "greater_than_equal": "must be at least {ge:g}",
        "greater_than": "must be more than {gt:g}",
        "less_than_equal": "must be at most {le:g}",
        "less_than": "must be less than {lt:g}",
        "string_too_short": "must not be empty",
        "string_too_long": "must be at most {max_length} characters long",
        "literal_error": "must be {expected}",
        "float_parsing": "must be a number",
        "int_parsing": "must be a whole number",
        "int_from_float": "must be a whole number",
        "missing": "is missing",
        "extra_forbidden": "is not a setting of this method",
    }.get(problem["type"])
    if said is None:
        text = str(limit.get("error", problem["msg"])).removeprefix("Value error, ").rstrip(".")
        return f"{title}: {text}." if title else f"{text[:1].upper()}{text[1:]}."
    there = problem["input"]
    tail = f"; it is {there}" if isinstance(there, int | float) else ""
    return f"{title} {said.format(**limit)}{tail}."


def label_of(name: str, field: FieldInfo) -> str:
    """A field's title as it stands on the page."""
    return field.title or name.replace("_", " ").capitalize()


def extra(field: FieldInfo) -> dict[str, Any]:
    """The field's `json_schema_extra`: unit, step, more."""
    return dict(field.json_schema_extra) if isinstance(field.json_schema_extra, dict) else {}


def bounds(field: FieldInfo) -> tuple[float | None, float | None]:
    """Lowest and highest value a field takes, None where it is open."""
    low = high = None
    for limit in field.metadata:
        low = limit.ge if isinstance(limit, annotated_types.Ge) else limit.gt if isinstance(limit, annotated_types.Gt) else low
        high = limit.le if isinstance(limit, annotated_types.Le) else limit.lt if isinstance(limit, annotated_types.Lt) else high
    return low, high


def _number(kind: type, field: FieldInfo, value: Any, optional: bool, common: dict[str, Any]) -> Component:
    """A slider where both bounds are known and worth a slider, else a number box; scientific values (learning rates) get a text box."""
    low, high = bounds(field)
    step = extra(field).get("step") or (1 if kind is int else _step(low, high))
    unit = extra(field).get("unit")
    if unit and unit.lower() not in label_of("", field).lower():
        common = {**common, "info": f"{field.description or ''} [{unit}]".strip()}
    if kind is float and value is not None and 0 < abs(value) < 1e-2 and not extra(field).get("step"):
        return gr.Textbox(f"{value:g}", max_lines=1, **common)
    if optional:  # a number box would make 0 of nothing as soon as it is shown
        return gr.Textbox("" if value is None else f"{value:g}", max_lines=1, **common)
    positions = MOST_POSITIONS if "step" in extra(field) else FINE_POSITIONS
    if low is None or high is None or high - low > positions * step:
        return gr.Number(value, minimum=low, maximum=high, step=step, precision=0 if kind is int else None, **common)
    return gr.Slider(low, high, value=value, step=step, **common)


def _step(low: float | None, high: float | None) -> float:
    return 0.01 if low is None or high is None or high - low <= 2 else 0.1


def _kind(annotation: Any) -> tuple[Any, bool]:
    """(type without None, whether None is allowed)."""
    if get_origin(annotation) in (Union, types.UnionType):
        parts: Sequence[Any] = [part for part in get_args(annotation) if part is not type(None)]
        return (parts[0] if len(parts) == 1 else Any), type(None) in get_args(annotation)
    return annotation, False


def _choices(kind: Any) -> list[Any]:
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    return [member.value for member in kind] if isinstance(kind, type) and issubclass(kind, Enum) else []


def _is_text(kind: Any) -> bool:
    return kind is str or bool(_choices(kind))


def _to_page(value: Any, field: FieldInfo) -> Any:
    """Tables and lists are written as JSON; an empty table or None is an empty box."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict | list | tuple):
        return json.dumps(value) if value else ""
    return "" if value is None and not _is_numeric(field) else value


def _is_numeric(field: FieldInfo) -> bool:
    return _kind(field.annotation)[0] in (int, float)


def _from_page(value: Any, field: FieldInfo) -> Any:
    """What pydantic is to judge: an empty box is the default of its field, and JSON text becomes the table or list that it spells."""
    kind, optional = _kind(field.annotation)
    if kind is bool or _is_text(kind):
        return None if optional and value == "" else value
    if value is None or (isinstance(value, str) and not value.strip()):
        return None if optional else field.get_default(call_default_factory=True)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and kind not in (int, float):
        return _parse(value, field)
    return value


def _parse(text: str, field: FieldInfo) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        like = _to_page(field.get_default(call_default_factory=True), field) or "[1, 0.5]"
        raise ShiftlabError(f"{field.title or 'This field'} cannot be read. Write it like {like}.") from None
