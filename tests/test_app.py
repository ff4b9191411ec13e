"""What the app refuses, it refuses in a sentence."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

import app
from core.lab import Lab


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A command line for a lab without models in a home of its own."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))  # the app sets it; afterwards it is as it was
    return ["--home", str(tmp_path / "home"), "--checkpoints", str(tmp_path / "none"), "--device", "cpu"]


def refusal(words: list[str]) -> str:
    with pytest.raises(SystemExit) as end:
        app.main(words)
    assert isinstance(end.value.code, str)  # Python prints it and exits with 1
    return end.value.code


@pytest.mark.long
def test_a_busy_port_is_a_sentence_and_the_home_is_given_back(words: list[str], tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        said = refusal([*words, "--port", port])
    assert f"port {port}" in said and "--port" in said
    Lab(tmp_path / "home", tmp_path / "none", "cpu").close()


@pytest.mark.long
def test_a_number_that_no_port_has_is_a_sentence(words: list[str]) -> None:
    assert "port 99999" in refusal([*words, "--port", "99999"])


def test_a_home_that_is_in_use_is_a_sentence(words: list[str], tmp_path: Path) -> None:
    lab = Lab(tmp_path / "home", tmp_path / "none", "cpu")
    assert "in use by another Shiftlab" in refusal(words)
    lab.close()
