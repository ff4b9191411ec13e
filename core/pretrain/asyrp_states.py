"""One training of Asyrp on the embedded base, kept as an edit after each of several counts of updates; trained once, resumable."""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from core.data.checkpoints import FolderCheckpoints
from core.data.edits import load_edit, save_edit
from core.methods import METHODS
from core.methods.asyrp_settings import AsyrpTune
from core.methods.learning import trained_card
from core.pretrain.edits import IMAGES, IMAGES_SEED, RECIPES, Recipe, attribute_recipe
from core.types import Context, Edit, TrainRequest
from core.worlds import portraits as world

COMMON = {
    "images": 64, "batch_size": 1, "learning_rate": 0.1, "image_weight": 1.0, "return_step": 701, "training_steps": 25, "t_edit": 250,
    "t_boost": 0, "similarity": 0.8, "sample_steps": 5,
}  # fmt: skip
LAST_LAYER = "conv2."  # of the block that suits the embedded base, see core/methods/asyrp_block.py
TRAINING_ONLY = ("epochs", "sample_every", "sample_steps")  # settings that do not change what is learned


@dataclass(frozen=True)
class Stop:
    """After how many updates a recipe is stopped, from which t its edit is used, and its own settings.

    Used from below where it was trained, but for hats: hair and hats are decided there, and an attribute of the face needs none of it.
    gain: what Δh is multiplied with before it is shipped, so that strength 1 is what the judge wants to see, and not what contents CLIP.
    """

    updates: int
    use_from: int = 601
    gain: float = 1.0
    settings: dict[str, float] = field(default_factory=dict)


LEARNED = {**RECIPES, "hat": attribute_recipe("Hat", "hat")}
STOPS = {"smiling": Stop(64, gain=1.6), "glasses": Stop(48, gain=0.9), "hat": Stop(36, use_from=701, gain=0.64)}


@dataclass(frozen=True)
class KeptStates:
    """A `core.types.Checkpointer` that hands every saved state to `keep` as well."""

    folder: FolderCheckpoints
    keep: Callable[[dict[str, Any]], None]

    def load(self) -> dict[str, Any] | None:
        return self.folder.load()

    def save(self, step: int, state: dict[str, Any]) -> None:
        self.keep(state)
        self.folder.save(step, state)


def settings_of(name: str, states: Sequence[int], more: dict[str, float]) -> AsyrpTune:
    """The settings of a training that is to reach every one of the states."""
    recipe = LEARNED[name]
    given = {**COMMON, **STOPS[name].settings, **more}
    epochs = math.ceil(max(states) / math.ceil(given["images"] / given["batch_size"]))
    return AsyrpTune(reference_prompt=recipe.reference, target_prompt=recipe.target, epochs=epochs, sample_every=math.gcd(*states), **given)


def pairs_of(recipe: Recipe, size: int) -> tuple[Tensor, Tensor]:
    """(photographs to learn from, the same people as they shall become): a direction in which nothing else changes."""
    people = world.sample(IMAGES, IMAGES_SEED, **recipe.sources)
    return tuple(world.render(shown, "photo", size) for shown in (people, world.with_attributes(people, **recipe.targets)))


def trained_states(name: str, states: Sequence[int], options: argparse.Namespace, context: Context) -> dict[int, Edit]:
    """The edit after each of so many updates, trained or gone on with where one is not there yet."""
    settings = settings_of(name, states, dict(options.set))
    facts = [settings.model_dump(exclude=set(TRAINING_ONLY)), options.seed, context.base.fingerprint, context.clip.fingerprint]
    stem = options.work / f"{name}-{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:8]}"
    paths = {count: stem / "states" / f"{count}.safetensors" for count in states}
    photos, targets = pairs_of(LEARNED[name], context.base.image_size)
    request = TrainRequest(photos, settings, LEARNED[name].title, options.seed, targets, photos[:1])

    def keep(state: dict[str, Any]) -> None:
        if state["step"] in paths:
            card = trained_card(request, state["interval"], context, weights="own", note=f"{state['step']} updates")
            save_edit(paths[state["step"]], Edit(card, state["weights"]), {})

    kept_states = KeptStates(FolderCheckpoints(stem / "training"), keep)
    training = METHODS["asyrp"].train(request, replace(context, checkpoints=kept_states))
    while not all(path.exists() for path in paths.values()):
        event = next(training)
        if event.phase == "train":
            print(f"{stem.name} {event.step} {event.numbers}", flush=True)
    return {count: used_from(load_edit(path, {}), STOPS[name].use_from) for count, path in paths.items()}


def used_from(edit: Edit, return_step: int) -> Edit:
    """The edit, whose card names this return step for its use."""
    trained = edit.card.settings["return_step"]
    note = f"{edit.card.note}; trained from t = {trained}, used from {return_step}"
    return replace(edit, card=edit.card.model_copy(update={"settings": {**edit.card.settings, "return_step": return_step}, "note": note}))


def louder(edit: Edit, gain: float) -> Edit:
    """The edit with a Δh that is `gain` times as large: its block's last convolution is the only layer that scales it alone."""
    weights = {name: gain * weight if name.startswith(LAST_LAYER) else weight for name, weight in edit.weights.items()}
    return Edit(edit.card.model_copy(update={"note": f"{edit.card.note}; Δh times {gain:g}"}), weights)
