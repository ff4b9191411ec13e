import gradio as gr
import pytest

from ui.events import while_busy


@pytest.mark.parametrize(
    ("part", "event", "mode"),
    [
        (gr.Dropdown, "input", "always_last"),
        (gr.Slider, "release", "always_last"),
        (gr.Tab, "select", "always_last"),
        (gr.Gallery, "select", "multiple"),
        (gr.File, "upload", "multiple"),
        (gr.Button, "click", "once"),
        (gr.Timer, "tick", "once"),
        (gr.State, "change", "always_last"),
    ],
)
def test_a_choice_that_comes_while_another_is_answered_is_not_dropped(part: type, event: str, mode: str) -> None:
    with gr.Blocks() as page:
        listener = getattr(part(), event)
        first = listener(lambda: None, None, None, **while_busy(listener))
        first.then(lambda: None, None, None, **while_busy(first.then))
    assert [function.trigger_mode for function in page.fns.values()] == [mode, "multiple"]
