"""The shipped edits: DiffusionCLIP fine-tunings of the embedded base towards every other domain and two attributes.

    python -m core.pretrain.edits sketch          # one of them; without a name, all
    python -m core.pretrain.edit_quality          # measures them all on unseen portraits

Each is exactly what the Tune tab would make of the same settings: same method, same settings class; or the mean of two such, as
`python -m core models mean` would make it. Run again to resume.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from core.data.checkpoints import FolderCheckpoints
from core.data.edit_mean import mean_edit
from core.data.edits import save_edit
from core.data.trajectories import TrajectoryStore
from core.methods import METHODS
from core.methods.diffusionclip_settings import DiffusionCLIPEdit, DiffusionCLIPTune
from core.metrics.perceptual import perceptual_of_identity
from core.models.base import load_base
from core.models.clip import load_clip
from core.models.identity import load_identity
from core.models.precision import best_dtype
from core.pretrain.base_quality import write_sheet
from core.pretrain.common import run_command
from core.pretrain.kept_edits import stem_of
from core.types import Context, Edit, EditRequest, EditResult, StepEvent, TrainRequest
from core.worlds import portraits as world

IMAGES, IMAGES_SEED, TARGETS, TARGETS_SEED = 64, 77, 64, 78
CHUNK = 32  # portraits that are carried across at once


@dataclass(frozen=True)
class Recipe:
    """One edit: its prompts, the portraits it learns from, the pictures that show its target, and what differs from the common settings."""

    title: str
    reference: str
    target: str
    domain: str = "photo"  # of the target pictures
    sources: dict[str, bool] = field(default_factory=dict)  # attributes of the portraits to learn from
    targets: dict[str, bool] = field(default_factory=dict)  # attributes of the target pictures
    settings: dict[str, Any] = field(default_factory=dict)
    second: dict[str, Any] = field(default_factory=dict)  # if any: what differs in a second training, and the mean is kept


COMMON = {"images": IMAGES, "batch_size": 4, "image_weight": 0.5, "sample_every": 48, "sample_steps": 20, "learning_rate_growth": 0.8}
STYLE = {"return_step": 601, "epochs": 12, "learning_rate": 1.2e-4, "w_l1": 0.0, "w_patches": 20.0, "w_pairs": 2.0}
ATTRIBUTE = {"return_step": 501, "epochs": 5, "learning_rate": 5e-5, "w_l1": 0.6}
PHOTO = world.DOMAIN_PROMPTS["photo"]


def attribute_recipe(title: str, name: str, **settings: float) -> Recipe:
    reference, target = world.ATTRIBUTE_PROMPTS[name]
    return Recipe(title, reference, target, "photo", {name: False}, {name: True}, {**ATTRIBUTE, **settings})


def style_recipe(title: str, domain: str, second: dict[str, Any] | None = None, **settings: Any) -> Recipe:
    return Recipe(title, PHOTO, world.DOMAIN_PROMPTS[domain], domain, settings={**STYLE, **settings}, second=second or {})


RECIPES = {
    # Strokes alone bend mouths as sketches have them, structure alone keeps the photograph: both together, and much of both.
    "sketch": style_recipe(
        "Pencil sketch", "sketch", epochs=20, learning_rate=1.5e-4, learning_rate_growth=0.88, w_patches=80, w_strokes=80, w_structure=18,
        w_pairs=4, patch_regions=8, patch_alike=2, second={"w_patches": 54, "w_strokes": 54, "w_structure": 12},
    ),
    "painting": style_recipe("Oil painting", "painting"),
    "night": style_recipe("Night", "night", epochs=18, learning_rate_growth=0.87, patch_sizes=3),
    "cartoon": style_recipe("Cartoon", "cartoon", epochs=24, learning_rate_growth=0.9, patch_sizes=3, attention_guidance=0.5),
    # Hair turns grey only from far back, with old people's pictures to show their greys; CLIP alone is content with blue.
    "old": attribute_recipe(
        "Old", "old", return_step=601, epochs=8, w_l1=0.2, w_patches=15, w_pairs=2, patch_regions=8, patch_alike=2
    ),
    "glasses": attribute_recipe("Glasses", "glasses", learning_rate=4e-5, w_l1=1.0),
    "smiling": attribute_recipe("Smiling", "smiling"),
}
# No example of the lab: what it makes shows CLIP where it is fooled.
TRIALS = {"beard": attribute_recipe("Beard", "beard")}
ALL = {**RECIPES, **TRIALS}


def portraits_of(recipe: Recipe, size: int) -> tuple[Tensor, Tensor]:
    """(photographs to learn from, target pictures of other people), each `(N, 3, size, size)` in [-1, 1]."""
    photos = world.render(world.sample(IMAGES, IMAGES_SEED, **recipe.sources), "photo", size)
    targets = world.render(world.sample(TARGETS, TARGETS_SEED, **recipe.targets), recipe.domain, size)
    return photos, targets


def context_of(checkpoints: Path, cache: Path) -> Context:
    """The embedded models as a method sees them, with a store of trajectories."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = best_dtype(device)
    identity = load_identity(checkpoints / "identity", device)
    return Context(
        base=load_base(checkpoints / "base", device, dtype),
        clip=load_clip(checkpoints / "clip", device),
        identity=identity,
        perceptual=perceptual_of_identity(identity),
        store=TrajectoryStore(cache / "trajectories"),
        device=device,
        dtype=dtype,
    )


def edited(edit: Edit, photos: Tensor, generation_steps: int, context: Context, strength: float = 1.0) -> tuple[Tensor, pd.DataFrame]:
    """The photographs carried across at the edit's own return step and guidance: (images, scores with a row an image)."""
    own = {"return_step": edit.card.settings["return_step"], "attention_guidance": guidance_of(edit)}
    settings = DiffusionCLIPEdit(**own, generation_steps=generation_steps, strength=strength)
    images, scores = [], []
    for part in photos.split(CHUNK):
        for event in METHODS["diffusionclip"].edit(EditRequest(part, settings, (edit,)), context):
            if isinstance(event, EditResult):
                images.append(event.images)
                scores.extend(event.scores)
    return torch.cat(images), pd.DataFrame(scores)


def guidance_of(edit: Edit) -> float:
    """The scale of attention guidance that the edit's samples were shown with, and that the page begins with."""
    return float(edit.card.settings.get("attention_guidance", 0.0))


def train(name: str, options: argparse.Namespace) -> None:
    """Makes one edit and writes `<out>/<name>.safetensors`, and beside the cache's edits a sheet of its samples."""
    recipe, context = ALL[name], context_of(options.checkpoints, options.cache)
    unseen = world.render(world.sample(16, 79, **recipe.sources), "photo", context.base.image_size)
    edit = _fine_tuned(name, recipe.settings, unseen, context, options)
    if recipe.second:
        other = _fine_tuned(name, {**recipe.settings, **recipe.second}, unseen, context, options)
        differs = ", ".join(f"{key} {value}" for key, value in recipe.second.items())
        edit = mean_edit([edit, _told(other, note=f"{other.card.note} with {differs}")])
        images, scores = edited(edit, unseen, COMMON["sample_steps"], context)
        write_sheet(torch.cat([unseen, images.cpu()]), _sheet(name, options))
        edit = _told(edit, metrics=scores.mean().to_dict())
    edit = _told(edit, note=f"python -m core.pretrain.edits {name}; {edit.card.note}")
    path = options.out / f"{options.tag}{name}.safetensors"
    kept = save_edit(path, edit, context.base.state_dict(), options.how)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {kept.note}, {kept.metrics}", flush=True)


def _fine_tuned(name: str, own: dict[str, Any], unseen: Tensor, context: Context, options: argparse.Namespace) -> Edit:
    """One training with the recipe's own settings, resumed where it was stopped; its note says how long it took."""
    recipe = ALL[name]
    settings = DiffusionCLIPTune(reference_prompt=recipe.reference, target_prompt=recipe.target, **{**COMMON, **own, **dict(options.set)})
    photos, targets = portraits_of(recipe, context.base.image_size)
    request = TrainRequest(photos, settings, recipe.title, seed=0, target_images=targets, samples=unseen)
    state = stem_of(options.cache / "edits", f"{options.tag}{name}", request, context, recipe.sources, recipe.targets)
    context = replace(context, checkpoints=FolderCheckpoints(state))  # a recipe that was changed begins anew
    began = time.perf_counter()
    for event in METHODS["diffusionclip"].train(request, context):
        if isinstance(event, Edit):
            minutes = (time.perf_counter() - began) / 60
            return _told(event, note=f"{minutes:.1f} min on {torch.get_num_threads()} {context.device.type} threads")
        if isinstance(event, StepEvent) and event.phase != "invert":
            _report(event, unseen, _sheet(name, options))
    raise AssertionError("a training ends with its edit")


def _told(edit: Edit, **facts: Any) -> Edit:
    """The edit with these facts on its card."""
    return replace(edit, card=edit.card.model_copy(update=facts))


def _sheet(name: str, options: argparse.Namespace) -> Path:
    return options.cache / "edits" / f"{options.tag}{name}.png"


def _report(event: StepEvent, unseen: Tensor, sheet: Path) -> None:
    numbers = " ".join(f"{name} {value:.4g}" for name, value in event.numbers.items())
    if event.images is not None:
        write_sheet(torch.cat([unseen, event.images.cpu()]), sheet)
    if event.images is not None or event.step % 16 == 0:
        print(f"{event.phase} {event.step}/{event.total} {numbers}", flush=True)


def field_and_number(text: str) -> tuple[str, float]:
    name, value = text.split("=")
    return name, float(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"which edits, {', '.join(TRIALS)} among them; default: {', '.join(RECIPES)}")
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"), help="folder of the embedded models")
    parser.add_argument("--out", type=Path, default=Path("checkpoints/edits"), help="folder of the edits")
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="folder of trajectories, checkpoints and sheets")
    parser.add_argument("--how", choices=("eight_bit", "half", "full"), default="eight_bit", help="how the difference to the base is kept")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads; default: all")
    parser.add_argument("--tag", default="", help="put before the file's name, for trials")
    parser.add_argument("--set", type=field_and_number, action="append", default=[], metavar="FIELD=NUMBER", help="instead of the recipe's")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    for name in options.names or RECIPES:
        if name not in ALL:
            parser.error(f"there is no edit {name!r}; choose from {', '.join(ALL)}")
        train(name, options)


if __name__ == "__main__":
    run_command(main)
