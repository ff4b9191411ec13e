"""What adapting a labelled set is worth, on portraits: the experiment that started this project, with a test that it did not have.

    python -m core.pretrain.adaptation_quality            # writes benchmarks/adaptation.md; goes on where it was stopped

1,200 labelled photographs are carried to pencil sketches by a shipped edit, with the experiment's 40 inversion and 6 generation steps.
Classifiers learn from photographs, from what was made of them, from both, and, as the oracle, from true sketches. They are tested on
- *adapted*: test photographs carried across by the same edit. This is the experiment's own protocol, and its weakness;
- *target*: sketches of other people, drawn by the renderer, which no edit, CLIP or classifier has seen.
"""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pandas as pd
import torch

from core.adaptation.adapt import adapted_set
from core.adaptation.audit import AUDIT, AuditSettings, dropped, read_audit
from core.adaptation.classifier import ClassifierSettings
from core.adaptation.classify import Domains, classifier_file, classify
from core.adaptation.jobs import ADAPTED, AdaptTask, AuditTask, in_foreground
from core.adaptation.pairs import in_order, manifest, pairs
from core.adaptation.report import PUBLISHED, Study, doubts, export, percent
from core.adaptation.results import accuracies, comparisons
from core.data.checkpoints import FolderCheckpoints
from core.data.edits import load_edit
from core.data.labelled import LabelledSet, load_set, read_set
from core.data.text_files import write_text
from core.jobs.runs import RunFolder
from core.jobs.tasks import Tools
from core.methods import METHODS
from core.pretrain import common
from core.pretrain.edits import RECIPES, context_of
from core.types import Context, EditCard, StepEvent
from core.worlds import portraits as world
from core.worlds.labelled import draw_set

PHOTOS_SEED, TARGET_SEED = 950_001, 960_001  # people whom no recipe draws; the target's are others than the photographs'
STEPS = {"grid": "paper", "inversion_steps": 40, "generation_steps": 6}  # the experiment's
POINTS, OF_ORACLE = 20, 95  # the goals: points over source only, and percent of the oracle's accuracy
SHOWN = 12
INTRO = """# What adapting a labelled set is worth

`{command}`: {train} labelled photographs for training and {test} for testing, carried across by the shipped edit "{edit}" at its return
step {return_step} with 40 inversion and 6 generation steps: {pace}. What the edit was told of the target: {known}. The classifier is
{network}, {epochs} epochs, {seeds} seeds, shuffled. Accuracies in %: mean over seeds, standard
deviation, and the 95 % interval of a bootstrap over seeds and test pictures; p is that of McNemar's exact test, the largest over the seeds.
*One answer*: what the commonest label, given to every picture, would reach.

*Tested on target*: {test} pictures of other people, drawn by the renderer. *Tested on adapted*: the original experiment's protocol, whose
test pictures come from the same edit as the training pictures. Published (faces of 256 pixels, that protocol): source only
{source_source:.1f} on source and {source_target:.1f} on target, adapted {adapted_source:.1f} and {adapted_target:.1f}, a gain of
{published:.1f} points, at more than 14.4 s an image.
"""


@dataclass(frozen=True)
class Sets:
    """The photographs and the true sketches, and where their indices lie."""

    photos: LabelledSet
    target: LabelledSet
    photos_index: Path
    target_index: Path


def drawn_set(people: world.Portraits, domain: str, size: int, train: int, folder: Path) -> Path:
    """Writes portraits as PNGs with a metadata.csv of all attributes, the first `train` for training, and returns the index's path."""
    index = folder.with_name(f"{folder.name}.jsonl")
    if not index.is_file():
        deque(draw_set(people, domain, size, folder, train), maxlen=0)
        read_set(folder).save(index)
    return index


def sets(domain: str, size: int, train: int, test: int, work: Path) -> Sets:
    """Photographs of some people, and pictures in the target domain of others."""
    photos = drawn_set(world.sample(train + test, PHOTOS_SEED), "photo", size, train, work / "photos")
    target = drawn_set(world.sample(train + test, TARGET_SEED), domain, size, train, work / domain)
    return Sets(load_set(photos), load_set(target), photos, target)


def adapted(found: Sets, name: str, options: argparse.Namespace, context: Context) -> tuple[Path, float, EditCard]:
    """(folder of the adapted photographs, seconds an image, the edit's card)."""
    edit = load_edit(options.checkpoints / "edits" / f"{name}.safetensors", context.base.state_dict())
    step = int(edit.card.settings["return_step"])
    task = AdaptTask(
        index=found.photos_index.resolve(), method="diffusionclip", settings={**STEPS, "return_step": step}, edits=(f"shipped/{name}",),
        batch=options.batch,
    )  # fmt: skip
    folder = options.work / "adapt"
    told(in_foreground(task, folder, f"Photographs to {name}", Tools(context, METHODS, lambda key: edit)))
    paces = pd.Series([row["images_per_s"] for row in RunFolder(folder).numbers() if "images_per_s" in row])
    return folder / ADAPTED, 1 / float(paces.median()), edit.card


def known_of(card: EditCard) -> str:
    """What an edit was told of its target, which the experiment knows by a prompt only."""
    share = float(card.settings.get("image_weight", 0))
    pictures = f", and unlabelled pictures of it, which give {100 * share:.0f} % of its direction" if share else ""
    return f"the prompt “{card.target_prompt}”{pictures}"


def compare(found: Sets, out: Path, label: str, domain: str, options: argparse.Namespace, context: Context) -> Study:
    """Everything for one label: classifiers on source, the audit by one of them and CLIP and identity, then all the other arms."""
    folder = options.work / f"{label}-{options.model}-{options.epochs}"
    folder.mkdir(parents=True, exist_ok=True)
    settings = ClassifierSettings(model=options.model, epochs=options.epochs, seeds=options.seeds)
    after, size = adapted_set(out), context.base.image_size
    context.checkpoints = FolderCheckpoints(folder / "checkpoints")
    run = RunFolder(folder)
    domains = Domains(found.photos, after, label, found.target)
    told(_noted(classify(domains, ("source",), size, settings, folder, context), run))

    style = world.DOMAIN_PROMPTS[domain].split(" of ")[0]
    prompts = {
        answer: prompt.replace("a photo", style) for answer, prompt in zip(("no", "yes"), world.ATTRIBUTE_PROMPTS[label], strict=True)
    }
    audit = AuditTask(
        adapted=out.resolve(), column=label, classifier=classifier_file(folder, "source", settings.seed).resolve(), prompts=prompts
    )
    told(in_foreground(audit, folder / "audit", label, Tools(context, METHODS, lambda key: None)))
    names = dropped(read_audit(folder / "audit" / AUDIT), AuditSettings())

    context.checkpoints = FolderCheckpoints(folder / "checkpoints")
    domains = Domains(found.photos, after, label, found.target, names)
    told(_noted(classify(domains, domains.possible_arms(), size, settings, folder, context), run))
    order = in_order(manifest(out))
    shown = list(pairs(found.photos, out, [*order[: SHOWN // 2], *order[:: max(1, 2 * len(order) // SHOWN)][: SHOWN // 2]]))
    facts = {**settings.model_dump(mode="json"), "column": label, "dropped by the audit": len(names)}
    return Study(f"{label.capitalize()}: photographs to {domain}", folder, out, facts, shown)


def told(events: Iterator[StepEvent]) -> None:
    """Progress on stdout, a line in ten."""
    for event in events:
        if event.note or event.step % max(1, event.total // 10) == 0:
            numbers = "  ".join(f"{name} {value:.3g}" for name, value in event.numbers.items())
            print(f"{event.phase} {event.step}/{event.total}  {numbers}  {event.note}".rstrip(), flush=True)


def _noted(events: Iterator[StepEvent], run: RunFolder) -> Iterator[StepEvent]:
    for event in events:
        if event.numbers:
            run.add_numbers(event)
        yield event


def verdict(table: pd.DataFrame, domain: str) -> str:
    """One sentence against the goals, for one of the two tests of `accuracies`."""
    accuracy = table.set_index(["trained on", "tested on"])["accuracy"]
    source, ours, oracle = (100 * accuracy[arm, domain] for arm in ("source", "adapted", "target"))
    gain, share = ours - source, 100 * ours / oracle
    reached = "reached" if gain >= POINTS and share >= OF_ORACLE else "missed"
    return (
        f"Tested on {domain}: source only {source:.1f}, adapted {ours:.1f} ({gain:+.1f} points; goal +{POINTS}), "
        f"which is {share:.1f} % of the oracle's {oracle:.1f} (goal {OF_ORACLE} %): {reached}."
    )


def section(study: Study, label: str) -> str:
    """Sentences and tables of one label."""
    table = accuracies(study.folder)
    dropped_pictures = study.settings["dropped by the audit"]
    parts = [
        f"## {label}",
        verdict(table, "target"),
        verdict(table, "adapted"),
        *doubts(table),
        f"The audit (source classifier, CLIP, identity; two votes of three) dropped {dropped_pictures} of the adapted pictures.",
        percent(table).to_markdown(index=False),
        "Against source only, in points:",
        percent(comparisons(study.folder)).to_markdown(index=False),
    ]
    return "\n\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", nargs="+", choices=world.ATTRIBUTES, default=["smiling", "glasses"], help="what the classifiers tell")
    styles = [name for name in RECIPES if RECIPES[name].domain != "photo"]
    parser.add_argument("--edit", default="sketch", choices=styles, help="the shipped edit that carries the photographs across")
    parser.add_argument("--train", type=int, default=1200, help="photographs to train on")
    parser.add_argument("--test", type=int, default=300, help="photographs, and true target pictures, to test on")
    parser.add_argument("--seeds", type=int, default=3, help="classifiers of each kind")
    models = get_args(ClassifierSettings.model_fields["model"].annotation)
    parser.add_argument("--model", default="cnn", choices=models, help="the network; cnn: the experiment's")
    parser.add_argument("--epochs", type=int, default=10, help="of each classifier")
    parser.add_argument("--batch", type=int, default=16, help="pictures adapted at once")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads; default: all")
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"), help="folder of the embedded models and edits")
    parser.add_argument("--work", type=Path, default=Path("cache/adaptation"), help="folder of sets, runs and reports")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/adaptation.md"), help="the table")
    prove(parser.parse_args())


def prove(options: argparse.Namespace) -> None:
    """The whole experiment; every part of it that is done already is left as it is."""
    if options.threads:
        torch.set_num_threads(options.threads)
    context = context_of(options.checkpoints, options.work)
    domain = RECIPES[options.edit].domain
    found = sets(domain, context.base.image_size, options.train, options.test, options.work)
    out, seconds, card = adapted(found, options.edit, options, context)
    sections = []
    for label in options.labels:
        study = compare(found, out, label, domain, options, context)
        export(study, options.work / f"report-{label}")
        sections.append(section(study, label))
    published = {f"{arm}_{test}": 100 * value for arm, row in PUBLISHED.items() for test, value in row.items()}
    pace = f"{seconds:.2f} s an image (45 network calls) on {common.device_name(context.device)}"
    network = "the experiment's (three convolutions, two layers)" if options.model == "cnn" else f"timm's {options.model}, untrained"
    known = {"network": network, "pace": pace, "known": known_of(card), "return_step": card.settings["return_step"], **vars(options)}
    gain = published["adapted_target"] - published["source_target"]
    intro = INTRO.format(command=common.command_line("core.pretrain.adaptation_quality"), published=gain, **published, **known)
    write_text(options.out, "\n\n".join([intro.rstrip(), *sections]) + "\n")
    print(options.out.read_text(encoding="utf-8"))


if __name__ == "__main__":
    common.run_command(main)
