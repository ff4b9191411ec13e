"""`python -m core invert`: pictures taken back into noise, once; every edit of them then starts from what was found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from safetensors.torch import save_file

from core.cli.options import command, option, paths_argument, settings_from, settings_options
from core.cli.session import MODEL_OPTIONS, open_context, picture_paths, read_pictures, told
from core.methods.diffusionclip_settings import DiffusionCLIPEdit
from core.models.fingerprint import fingerprints
from core.models.latents import invert_cached
from core.process.timesteps import lab_timesteps, paper_timesteps
from core.types import Context, StepEvent, Trajectory

FIELDS = ("return_step", "grid", "inversion_steps")
OWN_OPTIONS = [
    paths_argument("pictures", "PICTURES...", "Picture files, or folders of them."),
    option("out", Path | None, None, "Folder for the latents, a file a picture. They go into the home's store in any case."),
]


def add_invert(app: typer.Typer) -> None:
    """Adds the command."""
    help_line = "Take pictures back into noise (DDIM inversion). Edits of the same pictures then begin there."
    left_out = ("clip", "identity")
    models = [parameter for parameter in MODEL_OPTIONS if parameter.name not in left_out]
    command(app, "invert", help_line, [*OWN_OPTIONS, *settings_options(DiffusionCLIPEdit, FIELDS), *models], invert)


def invert(values: dict[str, Any]) -> None:
    """Inverts picture after picture. The lab's grid serves every return step; the paper's only the one that is given."""
    settings = settings_from(DiffusionCLIPEdit, values, FIELDS)
    context = open_context({**values, "clip": "none", "identity": "none"})
    timesteps = (
        lab_timesteps(num_steps=context.base.schedule.num_steps)
        if settings.grid == "lab"
        else paper_timesteps(settings.inversion_steps, settings.return_step)
    )
    for path in picture_paths(values["pictures"]):
        trajectory, known = told(_inverted(path, timesteps, context))
        where = _write(path, values["out"], trajectory, context) if values["out"] is not None else path
        print(f"{where}  {len(timesteps)} timesteps to {timesteps[-1]}{'  (known)' if known else ''}")


def _inverted(path: Path, timesteps: list[int], context: Context) -> Iterator[StepEvent | tuple[Trajectory, int]]:
    images = read_pictures([path], context.base.image_size).to(context.base.device)
    yield (yield from invert_cached(context.base, images, timesteps, context.store, context.lock))


def _write(path: Path, folder: Path, trajectory: Trajectory, context: Context) -> Path:
    """Latents `(S, 3, H, W)` under "latents", with timesteps, picture and models in the header."""
    folder.mkdir(parents=True, exist_ok=True)
    header = {"timesteps": ",".join(map(str, trajectory.timesteps)), "picture": path.name, **fingerprints(context)}
    target = folder / f"{path.stem}.latents.safetensors"
    save_file({"latents": trajectory.latents[:, 0].cpu().contiguous()}, target, header)
    return target
