"""A tuned base becomes the base in one click, where that means something, and what came of it is said."""

from types import SimpleNamespace

import pytest

from core.lab import Switched
from core.types import ShiftlabError
from ui.tuned_base import makes_base, use_as_base


@pytest.mark.parametrize(
    ("method", "state", "offered"),
    [("sdft", "done", True), ("domainstudio", "done", True), ("sdft", "running", False), ("asyrp", "done", False)],
)
def test_it_is_offered_for_what_learned_a_target_domain(method, state, offered):
    assert makes_base(SimpleNamespace(method=method, state=state)) is offered


def test_nothing_is_offered_without_a_run():
    assert not makes_base(None)


def test_kept_loaded_and_told():
    asked = []
    lab = SimpleNamespace(
        keep_tuned=lambda key: asked.append(key) or "paintings",
        use=lambda kind, name: asked.append((kind, name)) or Switched("paintings", ("Smiling", "Old")),
    )
    said = use_as_base(lab, "abc")
    assert asked == ["run/abc", ("base", "paintings")]
    assert "Base is now “paintings”" in said and "“Learn from”" in said and "“Smiling”, “Old” belong to the base before" in said


def test_what_cannot_be_is_said():
    def refuse(key):
        raise ShiftlabError("There is a model called 'x' already.")

    assert "already" in use_as_base(SimpleNamespace(keep_tuned=refuse, use=None), "abc")
