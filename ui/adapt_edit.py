"""Step 2 of the Adapt tab: what carries the set across. A method, its edits and its settings, tried on a few pictures before on all."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

import gradio as gr

from core.data.images import to_pils, to_tensor
from core.methods import that_edit
from core.methods.datum import picture_side
from core.types import EditRequest, EditResult, Settings, ShiftlabError
from ui.adapt_chain import Chain, Seen, Updates, Values
from ui.adapt_read import index_of, small
from ui.edit_method import NONE, MethodView, brought
from ui.edit_show import merged
from ui.forms import Form, build_form, settings_from
from ui.methods import about, line_html
from ui.numbers import number
from ui.prompts import load_presets

PROMPTS = ("reference_prompt", "target_prompt")
TRIED = 6
UNTRIED = (
    '<div class="blank tall"><b>Not tried yet.</b> Choose an edit and press “Try it on six pictures” to see what it makes of the first '
    "pictures of the set, before it is set on all of them.</div>"
)


class EditStep:
    """Components, handlers, and `show` for what changed."""

    def __init__(self, lab: Any) -> None:
        self.lab = lab
        with gr.Row(elem_classes="workbench", visible=False) as self.column_of_step:
            with gr.Column(scale=0, min_width=300, elem_classes="controls"):
                self._build_choice()
                self.next = gr.Button("Next: carry it across", variant="primary", elem_id="adapt-to-run")
            with gr.Column(scale=1, min_width=300, elem_classes="stage"), gr.Column(elem_classes="card told-set"):
                with gr.Row(elem_classes="watch-row"):
                    gr.HTML('<h2 class="heading">First look</h2>', elem_classes="plain")
                    self.try_it = gr.Button("Try it on six pictures", size="sm", min_width=170, scale=0, elem_id="adapt-try")
                self.tried = gr.HTML(UNTRIED, elem_id="adapt-tried", elem_classes="plain")
        self.view = MethodView(lab, self, None)  # of the Edit tab: here it only lists edits

    def _build_choice(self) -> None:
        methods = that_edit(self.lab.methods)
        names = [(type(method).__name__, key) for key, method in methods.items()]
        first = names[0][1]
        with gr.Column(elem_classes="card"):
            self.method = gr.Dropdown(names, value=first, label="Method", interactive=True, filterable=False, elem_id="adapt-method")
            self.line = gr.HTML(line_html(first), elem_classes="under")
            self.edit = gr.Dropdown([], label="Edit", interactive=True, allow_custom_value=True, elem_id="adapt-edit")
            self.mixed = gr.Dropdown(
                [], value=[], multiselect=True, label="Mix with", interactive=True, allow_custom_value=True, elem_id="adapt-mixed"
            )
        with gr.Column(elem_classes="card"):
            self.forms, self.columns = self._build_forms(methods, first)
            with gr.Accordion("Seed and batch", open=False, elem_classes="more"):
                self.seed = gr.Number(
                    0, label="Seed", info="Of the first picture; the next ones count on.", precision=0, minimum=0, maximum=2**31 - 1,
                    interactive=True, elem_id="adapt-seed",
                )  # fmt: skip
                self.batch = gr.Number(
                    16, label="Batch", info="Pictures at once.", precision=0, minimum=1, maximum=1024, interactive=True,
                    elem_id="adapt-batch",
                )  # fmt: skip

    def _build_forms(self, methods: dict[str, Any], first: str) -> tuple[dict[str, Form], dict[str, gr.Column]]:
        forms, columns = {}, {}
        for key, method in methods.items():
            with gr.Column(visible=key == first, elem_classes="method-form") as columns[key]:
                forms[key] = _form(method.edit_settings, f"adapt-{key}-")
        return forms, columns

    def inputs(self) -> set[Any]:
        return {self.method, self.edit, self.mixed, self.seed, self.batch}.union(*(form.inputs() for form in self.forms.values()))

    def outputs(self) -> list[Any]:
        parts = [part for form in self.forms.values() for part in form.outputs()]
        return [self.method, self.line, self.edit, self.mixed, self.seed, self.batch, self.tried, *self.columns.values(), *parts]

    # --- handlers -----------------------------------------------------------------------------------------------------------------

    def choose_method(self, values: Values, seen: Seen) -> Updates:
        """Its form, and the edit that it opens with."""
        method = values[self.method]
        return merged(self._appear(method), self._with(method, self._first(method), seen))

    def choose_edit(self, values: Values, seen: Seen) -> Updates:
        return self._with(values[self.method], values[self.edit] or NONE, seen)

    def refresh(self, values: Values, seen: Seen) -> Updates:
        """The lists of edits anew; the one it opens with where none is chosen yet."""
        method, key = values[self.method], values[self.edit]
        entries = {entry.key: entry for entry in self.view.usable(method)}
        if key in entries or (key == NONE and seen.edit):
            seen.edit = entries[key].name if key in entries else "no edit"
            return self._choices(method, key)
        return {**self._choices(method, key), **self._with(method, self._first(method), seen)}

    def request(self, values: Values) -> tuple[str, Settings, tuple[str, ...], int, int]:
        """(method, settings, keys of edits, seed, batch) as they stand in the form. Raises ShiftlabError for what is missing."""
        method = values[self.method]
        settings = self.forms[method].read(values)
        keys = tuple(dict.fromkeys(key for key in (values[self.edit], *(values[self.mixed] or [])) if key))
        if not keys and about(method).required:
            raise ShiftlabError("No edit is chosen. Choose one in step 2, or train one on the Tune tab.")
        return method, settings, keys, int(values[self.seed] or 0), int(values[self.batch] or 16)

    def try_on(self, values: Values, chain: Chain) -> Iterator[Updates]:
        """The first pictures of the set carried across, at once and not in the queue."""
        chain.need_set()
        _, settings, keys, seed, _ = self.request(values)
        labelled = index_of(chain.index)
        pictures = [labelled.picture(item) for item in labelled.items[:TRIED]]
        images = to_tensor(pictures, picture_side(settings, self.lab.context()))
        request = EditRequest(images, settings, tuple(self.lab.load_edit(key) for key in keys), seed)
        for event in self.lab.edit(request):
            if isinstance(event, EditResult):
                yield {self.tried: tried_html(images, event)}
            else:
                yield {self.tried: f'<p class="help">Working: {event.phase} {event.step} of {event.total}</p>'}

    # --- what it shows ------------------------------------------------------------------------------------------------------------

    def show(self, chain: Chain, seen: Seen) -> Updates:
        """The settings of the run that is shown, when another one is."""
        if chain.adapt is None or not seen.new("edit of", chain.adapt.id):
            return {}
        return self.restored(chain.adapt.settings, seen)

    def restored(self, task: dict[str, Any], seen: Seen) -> Updates:
        """The form as it stood when an adaptation was started; nothing where its method or settings are no longer there."""
        method = task["method"]
        if method not in self.forms:
            return {}
        try:
            settings = settings_from(self.forms[method].settings_class, task["settings"])
        except ShiftlabError:
            return {}
        keys = list(task["edits"])
        named = {entry.key: entry.name for entry in self.lab.edits()}
        seen.edit = named.get(keys[0], keys[0]) if keys else "no edit"
        form = dict(zip(self.forms[method].outputs(), self.forms[method].show(settings), strict=True))
        chosen = self._choices(method, keys[0] if keys else NONE)
        mixed = {self.mixed: gr.update(value=keys[1:])}
        return {**merged(self._appear(method), chosen, mixed), **form, self.seed: task["seed"], self.batch: task["batch"]}

    def _first(self, method: str) -> str:
        """The key of the edit that the method opens with, as on the Edit tab; NONE where there is none."""
        preset = load_presets()[0]
        first = self.view.first(method, preset.reference, preset.target)
        return first.key if first else NONE

    def _appear(self, method: str) -> Updates:
        more = about(method).more
        label = {"label": more.label} if more else {}
        beside = {self.mixed: gr.update(visible=more is not None, value=self.view.beside(method), **label)}
        shown = {
            self.method: method,
            self.line: line_html(method),
            self.tried: UNTRIED,
            **{column: gr.update(visible=key == method) for key, column in self.columns.items()},
        }
        return merged(shown, self._choices(method, None), beside)

    def _choices(self, method: str, key: str | None) -> Updates:
        found = self.view.choices(method)
        label = {"label": about(method).edit.label, **({} if key is None else {"value": key})}
        return {part: {**update, **(label if part is self.edit else {})} for part, update in found.items()}

    def _with(self, method: str, key: str, seen: Seen) -> Updates:
        """An edit, with the return step that it was trained for and the guidance that suits it."""
        entry = next((entry for entry in self.view.usable(method) if entry.key == key), None)
        seen.edit = entry.name if entry else "" if about(method).required else "no edit"
        form = self.forms[method]
        shown = form.show(brought(form, entry.card.settings) if entry else {})
        return {**self._choices(method, key), **dict(zip(form.outputs(), shown, strict=True))}


def _form(settings_class: type[Settings], prefix: str) -> Form:
    """The settings, with the prompts, which an edit knows by itself, under a closed heading."""
    form = build_form(settings_class, leave_out=PROMPTS, more="More", prefix=prefix)
    prompts = [name for name in PROMPTS if name in settings_class.model_fields]
    if not prompts:
        return form
    with gr.Accordion("Prompts", open=False, elem_classes="more"):
        asked = build_form(settings_class, only=prompts, prefix=prefix)
    return Form(settings_class, {**form.components, **asked.components})


def tried_html(images: Any, result: EditResult) -> str:
    """Before and after, a pair a picture, with what was scored."""
    cells = ""
    for before, after, scores in zip(to_pils(images), to_pils(result.images), result.scores, strict=True):
        told = f"identity {number(scores['identity'])}" if "identity" in scores else ""
        cells += (
            f'<figure class="pair"><span class="pair-sides"><img src="{small(before)}" alt="before"><img src="{small(after)}" alt="after">'
            f"</span><figcaption>{told}</figcaption></figure>"
        )
    note = f'<p class="help">{escape(result.note)}</p>' if result.note else ""
    return f'<div class="pairs-grid">{cells}</div>{note}'
