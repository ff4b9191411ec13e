"""The page runs Gradio's script as it was put right, and what was put right answers as it did before."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Browser, Page

from ui.gradio_repair import EVENTS_OF_ALL_FOR_EACH, REPAIRS, SCRIPTS, SOUGHT_IN_THE_WHOLE_TREE, repaired

pytestmark = pytest.mark.long

# Statements of the kinds that are put right, whatever Gradio is here.
ASKED = (
    "find_attached_events(a,b){let c=b.filter(d=>d.targets.some(([i])=>i===a.id)).map(d=>{let f=d.targets.find(([i])=>i===a.id);"
    "return f?f[1]:null}).filter(Boolean);return a.props.shared_props.attached_events=c,a}"
)
SOUGHT = "function S(a,b){if(a.id===b)return a;if(a.children)for(let c of a.children){let a=S(c,b);if(a)return a}return null}"
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


def statements(pattern: re.Pattern[str], example: str) -> list[re.Match[str]]:
    """The example, and what the scripts of the Gradio that is here have of its kind: a later one may have none."""
    texts = [example, *(path.read_text(encoding="utf-8") for path in SCRIPTS.glob("*.js"))]
    return [found for text in texts if (found := pattern.search(text))]


def answers(browser: Browser, statement: str, wrapped: str) -> object:
    """What a script says that runs with the statement."""
    page = browser.new_page()
    answer = page.evaluate(f"() => {{ {wrapped.replace('STATEMENT', statement)} }}")
    page.close()
    return answer


def test_a_control_is_told_the_same_events(browser: Browser) -> None:
    found = statements(EVENTS_OF_ALL_FOR_EACH, ASKED)
    assert found[0][0] == ASKED
    for text in (text for each in found for text in (each[0], repaired(each[0]))):
        told = answers(browser, text, f"class Asked {{ STATEMENT }}; {EVENTS}")
        assert told == [["click", "change"], ["input"], [], ["click", "change"]], text


def test_the_same_control_is_found(browser: Browser) -> None:
    found = statements(SOUGHT_IN_THE_WHOLE_TREE, SOUGHT)
    assert found[0][0] == SOUGHT
    for text, name in ((text, each[1]) for each in found for text in (each[0], repaired(each[0]))):
        assert answers(browser, text, f"STATEMENT; const sought = {name}; {TREE}") == [0, 1, 3, 4, None, True, True, None], text


def test_the_page_runs_the_repaired_scripts(page: Page) -> None:
    names = page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
    scripts = [name for name in names if re.search(r"/assets/(Blocks|core)-[^/]*\.js$", name)]
    assert len(scripts) >= 2, f"the page has loaded the scripts that hold its controls and dispatch their events: {json.dumps(names)}"
    for script in scripts:
        text = page.request.get(script).text()
        assert not any(faulty.search(text) for faulty, _ in REPAIRS), script
