import gradio as gr

from ui.data_tab import DataTab
from ui.state import create_shared


def test_what_shows_the_sets_is_worked_out_one_after_the_other() -> None:
    """Faces are looked for meanwhile; an image that is removed by then must not come back with the answer to that."""
    with gr.Blocks() as page:
        tab = DataTab(create_shared(page))
        tab.wire()
    galleries = {panel.gallery for panel in tab.panels.values()}
    groups = {(event.concurrency_id, event.concurrency_limit) for event in page.fns.values() if galleries & set(event.outputs)}
    assert groups == {("data", 1)}
