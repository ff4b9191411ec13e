"""Shiftlab's page: environment, arguments, the lab, the page, launch. `python app.py --help` says the rest."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import closing
from pathlib import Path

from core.imports import nothing_collected

# Before gradio is imported: the server asks no host for anything by itself.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["DO_NOT_TRACK"] = "1"

HERE = Path(__file__).parent
MAX_UPLOAD = "4gb"  # of a ZIP; a single picture over 64 MB is refused when it is read (core.data.images)


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line; every option has a default that works on a fresh checkout."""
    parser = argparse.ArgumentParser(description="Shiftlab: carry images across domains with diffusion models, in the browser.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 opens the lab to the network")
    parser.add_argument("--port", type=int, default=7860, help="port to listen on (default: %(default)s)")
    parser.add_argument("--home", type=Path, default=HERE / "runs", help="folder of runs, edits and caches (default: runs/)")
    parser.add_argument("--checkpoints", type=Path, default=HERE / "checkpoints", help="folder of the models (default: checkpoints/)")
    parser.add_argument("--device", default=None, help="cpu, cuda, cuda:N or mps (default: the best that is there)")
    parser.add_argument("--precision", default=None, help="auto, fp32, bf16 or fp16 (default: SHIFTLAB_PRECISION, else auto)")
    parser.add_argument("--models", type=Path, default=None, help="folder that stands in for the model hub (default: SHIFTLAB_MODELS)")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> None:
    """Loads the lab once, builds the page on it and serves until it is interrupted."""
    given = arguments(words)
    os.environ["GRADIO_TEMP_DIR"] = str((given.home / "cache" / "page").resolve())  # uploads stay in the lab's own home

    with nothing_collected():
        from core.lab import Lab
        from core.types import ShiftlabError
        from ui.launch import launch
        from ui.page import build_page

    try:
        with closing(Lab(given.home, given.checkpoints, given.device, precision=given.precision, models=given.models)) as lab:
            launch(build_page(lab), given.host, given.port, MAX_UPLOAD)
    except ShiftlabError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
