"""`python -m core`: see core/cli/app.py, or `python -m core --help`."""

from __future__ import annotations

import sys

from core.imports import nothing_collected

with nothing_collected():
    from core.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
