"""The page runs Gradio's script as it was put right, and what was put right answers as it did before."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Browser, Page

from ui.gradio_repair import EVENTS_OF_ALL_FOR_EACH, REPAIRS, SCRIPTS, SOUGHT_IN_THE_WHOLE_TREE, repaired

EVENTS = """
    const events = [
        {targets: [[1, "click"], [2, "input"]]}, {targets: [[1, "change"], [1, "input"]]},
        {targets: [[null, "load"]]}, {targets: [[2, null]]},
    ]
    const told = new Asked()
    return [1, 2, 3, 1].map(id => told.find_attached_events({id, props: {shared_props: {}}}, events).props.shared_props.attached_events)
"""
TREE = """
    const leaf = id => ({id, children: []}), tree = {id: 0, children: [{id: 1, children: [leaf(2), leaf(3)]}, {id: 4}]}
    const found = [0, 1, 3, 4, 9].map(id => sought(tree, id)?.id ?? null)
    tree.children = [leaf(5), leaf(4)]
    return [...found, sought(tree, 5) === tree.children[0], sought(tree.children[1], 4) === tree.children[1], sought(tree.children[1], 5)]
"""


def statement(pattern: re.Pattern[str]) -> re.Match[str] | None:
    return next(filter(None, (pattern.search(path.read_text(encoding="utf-8")) for path in SCRIPTS.glob("*.js"))), None)


def both(browser: Browser, pattern: re.Pattern[str], wrap) -> tuple[object, object]:
    """What the statement of the Gradio that is here answers, and what it answers once it is put right."""
    found = statement(pattern)
    if found is None:
        pytest.skip("This Gradio has no such statement.")
    page = browser.new_page()
    answers = [page.evaluate(f"() => {{ {wrap(text, found)} }}") for text in (found[0], repaired(found[0]))]
    page.close()
    return answers[0], answers[1]


def test_a_control_is_told_the_same_events(browser: Browser) -> None:
    before, after = both(browser, EVENTS_OF_ALL_FOR_EACH, lambda text, _: f"class Asked {{ {text} }}; {EVENTS}")
    assert after == before == [["click", "change"], ["input"], [], ["click", "change"]]


def test_the_same_control_is_found(browser: Browser) -> None:
    before, after = both(browser, SOUGHT_IN_THE_WHOLE_TREE, lambda text, found: f"{text}; const sought = {found[1]}; {TREE}")
    assert after == before == [0, 1, 3, 4, None, True, True, None]


def test_the_page_runs_the_repaired_scripts(page: Page) -> None:
    names = page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
    scripts = [name for name in names if re.search(r"/assets/(Blocks|core)-[^/]*\.js$", name)]
    assert len(scripts) >= 2, f"the page has loaded the scripts that hold its controls and dispatch their events: {json.dumps(names)}"
    for script in scripts:
        text = page.request.get(script).text()
        assert not any(faulty.search(text) for faulty, _ in REPAIRS), script
