"""A tuned base becomes the base in one click, where that means something, and what came of it is said."""

from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from core.data.edits import HEADER, OWN
from core.lab import Switched
from core.types import EditCard, ShiftlabError
from ui.tuned_base import makes_base, use_as_base


@pytest.mark.parametrize(
    ("method", "state", "weights", "offered"),
    [
        ("sdft", "done", "full", True),
        ("domainstudio", "done", "half", True),
        ("sdft", "running", "full", False),
        ("asyrp", "done", OWN, False),
        ("datum", "done", OWN, False),
    ],
)
def test_it_is_offered_for_what_learned_a_target_domain(tmp_path, method, state, weights, offered):
    card = EditCard(name="edit", method=method, base_fingerprint="here", weights=weights)
    save_file({"weight": torch.zeros(1)}, tmp_path / "edit.safetensors", {HEADER: card.model_dump_json()})
    assert makes_base(SimpleNamespace(method=method, state=state, folder=tmp_path)) is offered


def test_nothing_is_offered_without_a_run_or_its_edit(tmp_path):
    assert not makes_base(None)
    assert not makes_base(SimpleNamespace(method="sdft", state="done", folder=tmp_path))


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
