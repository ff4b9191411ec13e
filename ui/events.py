"""How the page's events behave: they make no show of running, and a tab asks for news only while it is the one that is shown.

Gradio tells every output of an event that it runs and that it is done, and looks each of them up in the tree of the whole page. With the
hundred outputs of a tab that takes the browser seconds, so nobody is told: `show_progress_on` names no component.
"""

from __future__ import annotations

import json
from typing import Any

import gradio as gr

from ui.state import Shared

QUIET: dict[str, Any] = {"show_progress": "hidden", "show_progress_on": [], "api_visibility": "private"}


def while_busy(event: Any) -> dict[str, Any]:
    """What becomes of an event that comes while the one before it is still answered: `trigger_mode`, by the event's kind.

    Gradio's default drops it, which suits buttons and clocks. A choice that is dropped leaves a page that shows one thing and means
    another: handlers that read values run once more with the newest; those that are told what was clicked, or given a file, run for each.
    """
    kind = getattr(event, "event_name", "then")  # what follows an event has no name of its own
    if kind in ("input", "release") or isinstance(getattr(event, "__self__", None), gr.Tab):
        return {"trigger_mode": "always_last"}
    return {"trigger_mode": "multiple"} if kind in ("select", "upload", "then") else {}


def in_order(key: str) -> dict[str, Any]:
    """What makes the events of the group `key` answered one after the other, as they came.

    Gradio takes waiting events of different handlers in any order, so that an answer can come after a newer one.
    """
    return {"concurrency_id": key, "concurrency_limit": 1}


def timer_of(shared: Shared, key: str, seconds: float) -> gr.Timer:
    """A timer of the tab `key`, made inside it. It ticks while that tab is shown, however it came to be."""
    timer = gr.Timer(seconds, active=False)
    shared.timers.append((key, timer))
    return timer


def switch_timers(shared: Shared) -> None:
    """Wires it, once all tabs are built: the browser does it by itself, and shows the tab's name where the row of tabs is scrolled."""
    timers = [timer for _, timer in shared.timers]
    for key, tab in shared.tab.items():
        active = json.dumps([{"__type__": "update", "active": owner == key} for owner, _ in shared.timers])
        name = f"document.getElementById('tab-{key}-button')?.scrollIntoView({{block: 'nearest', inline: 'nearest'}})"
        tab.select(None, None, timers, js=f"() => {{ {name}; return {active}; }}", **QUIET)
