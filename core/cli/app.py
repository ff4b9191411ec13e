"""`python -m core`: the commands, and what their exit status means.

0  done        1  refused: one sentence on stderr says why        2  the command line itself is wrong        130  interrupted
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache

import typer
from typer.main import get_command

from core.cli.adapt import adapt_app
from core.cli.classify import add_classify
from core.cli.edit import edit_app
from core.cli.invert import add_invert
from core.cli.models import models_app
from core.cli.oneshot import add_oneshot
from core.cli.segment import add_segment
from core.cli.shares import add_shares
from core.cli.tune import tune_app
from core.jobs.errors import sentence
from core.jobs.machine import use_all_cores
from core.models.memory import is_out_of_memory
from core.types import ShiftlabError, Stopped

INTERRUPTED = 130  # 128 + SIGINT, as shells have it

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Shiftlab: carry images across domains with diffusion models. Results go to files, progress to stderr.",
    epilog="Exit status: 0 done, 1 refused (a sentence on stderr says why), 2 wrong usage, 130 interrupted.",
)
app.add_typer(edit_app, name="edit")
app.add_typer(tune_app, name="tune")
add_invert(app)
app.add_typer(adapt_app, name="adapt")
add_classify(app)
add_shares(app)
add_oneshot(app)
add_segment(app)
app.add_typer(models_app, name="models")


_command = cache(get_command)  # made once: it reads every settings class of every method


def main(words: Sequence[str] | None = None) -> int:
    """Runs one command (`words`, or the process's own arguments) and returns its exit status."""
    use_all_cores()
    try:
        _command(app).main(args=None if words is None else list(words), prog_name="python -m core")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except ShiftlabError as error:
        return _refused(str(error))
    except (KeyboardInterrupt, Stopped) as stop:
        print(str(stop) or "Interrupted.", file=sys.stderr)
        return INTERRUPTED
    except (OSError, RuntimeError, MemoryError) as error:
        if isinstance(error, OSError) or is_out_of_memory(error):
            return _refused(sentence(error) if is_out_of_memory(error) else f"{error}. Check the path and the space on the disk.")
        raise
    return 0


def _refused(reason: str) -> int:
    print(reason, file=sys.stderr)
    return 1
