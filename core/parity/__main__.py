"""`python -m core.parity <folder>`: exit status 0 when everything compared agrees, 1 when not, 2 when nothing could be compared."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from core.parity.compare import compare_folder
from core.types import ShiftlabError


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m core.parity", description="Compare the diffusion process with recorded vectors.")
    parser.add_argument("folder", type=Path, help="folder with vector files (*.safetensors)")
    try:
        return 0 if compare_folder(parser.parse_args(arguments).folder) else 1
    except ShiftlabError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
