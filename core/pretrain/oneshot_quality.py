"""What DATUM is worth on streets: one image of a night, or of a fog, and a segmenter that learns the weather from it.

    python -m core.pretrain.oneshot_quality            # writes benchmarks/streets.md; goes on where it was stopped

Segmenters learn labelled scenes by day. They adapt to each target from three different one-shot images: with copies and crops of the image
(the control), with pictures that the text-to-image model, personalised on it, made from class prompts (DATUM), and with labelled scenes by
day that this model carried to the target. All are measured on 200 labelled scenes of the target, of streets that nothing else has seen.
`--oracle` adds a segmenter that learned labelled target scenes.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from core.adaptation.jobs import in_foreground
from core.adaptation.oneshot_jobs import GENERATED, GenerateTask, PersonaliseTask, kept_checkpoints
from core.adaptation.segment_jobs import SegmentTask
from core.adaptation.segment_results import mious
from core.adaptation.segment_settings import OF_ADAPTATION, PRESETS, Preset, SegmentSettings
from core.data.images import to_pil
from core.data.png import write_png
from core.data.segmented import read_segmented
from core.data.text_files import write_text
from core.jobs.tasks import Task, Tools
from core.methods import METHODS
from core.methods.datum_carry import CarrySettings
from core.methods.datum_settings import DatumTune, GenerateSettings
from core.models.text_to_image import load_text_to_image
from core.pretrain import common
from core.pretrain.adaptation_quality import told
from core.pretrain.oneshot_tables import DAY, SECONDS, seconds_of, section
from core.types import Context, ShiftlabError, StepEvent
from core.worlds import streets as world
from core.worlds.labelled_streets import draw_scenes

DAY_SEED, TARGET_SEED, SHOT_SEED = 970_001, 975_001, 980_001  # streets that no recipe draws, and others for each use
ARMS = ("one_shot", "generated", "carried")  # beside source only
CLASSES = ("traffic light", "traffic sign", "person", "rider", "car", "bus")  # the paper's thing classes, as far as there are such here
# The preset for the embedded model
TUNE = {"learning_rate": 2e-3, "batch_size": 4, "rank": 16, "layers": "all", "short_side": 72, "sample_steps": 10}
GENERATE = {"steps": 25, "guidance": 3.0}
SEGMENT = {"measure_every": 400}
INTRO = """# One target image, a street, and a segmenter that learns it

`{command}`, on {device}. Source: {train} labelled scenes by day. Each target is known by one image; {shots} different ones were taken, one
after the other. mIoU in % on {test} labelled scenes of the target: the mean over the one-shot images, the standard deviation over them
({seeds} seed(s) of a segmenter each), and the least and greatest. Images were learned up to checkpoint {used}.{drawn}
"""


def labelled_scenes(domain: str, seed: int, train: int, test: int, work: Path) -> Path:
    """The index of scenes of a domain, drawn now where they are not there yet."""
    index = work / f"{domain}.jsonl"
    if not index.is_file():
        for _ in draw_scenes(world.sample(train + test, seed), domain, 64, work / domain, train):
            pass
        read_segmented(work / domain).save(index)
    return index.resolve()


def shot_image(domain: str, place: int, work: Path) -> Path:
    """The one-shot image number `place` of a domain."""
    path = work / f"{domain}-{place}.png"
    if not path.is_file():
        write_png(path, to_pil(world.render(world.sample(1, SHOT_SEED + place), domain)), {})
    return path.resolve()


def generated(domain: str, place: int, shot: Path, options: argparse.Namespace, context: Context) -> Path:
    """The folder of pictures made from one image: the one that was given, or DATUM's, made now as far as it is missing."""
    if options.generated is not None:
        return (options.generated / f"{domain}-{place}").resolve()
    weights = personalised(domain, place, shot, options, context)
    table = tuple((name, options.images // len(CLASSES)) for name in CLASSES)
    settings = GenerateSettings(**{**GENERATE, **json.loads(options.generate)})
    task = GenerateTask(table=table, weights=weights, settings=settings, compared=0)
    run(task, options.work / f"{domain}-{place}-generate", context)
    return (options.work / f"{domain}-{place}-generate" / GENERATED).resolve()


def personalised(domain: str, place: int, shot: Path, options: argparse.Namespace, context: Context) -> Path:
    """The weights of the model as it learned one image, now if it has not yet."""
    folder = options.work / f"{domain}-{place}-personalise"
    if options.used not in dict(kept_checkpoints(folder)):
        tune = DatumTune(steps=options.personalise_steps, checkpoint_every=options.used, **{**TUNE, **json.loads(options.tune)})
        run(PersonaliseTask(images=(shot,), name=f"{domain} {place}", settings=tune), folder, context)
    return dict(kept_checkpoints(folder))[options.used].resolve()


def adapted(domain: str, place: int, source: Path, options: argparse.Namespace, context: Context) -> Path:
    """The folder of the comparison for one image of one target."""
    shot = shot_image(domain, place, options.work)
    target = labelled_scenes(domain, TARGET_SEED, 0, options.test, options.work)
    images = generated(domain, place, shot, options, context) if "generated" in options.arms else None
    weights = personalised(domain, place, shot, options, context) if "carried" in options.arms and options.generated is None else None
    arms = ("source", *(arm for arm in ARMS if arm in options.arms and (arm != "carried" or weights is not None)))
    task = SegmentTask(
        source=source, one_shot=shot, images=images, target=target, arms=arms, settings=settings_of(domain, options),
        weights=weights, carry=carry_of(domain, options), earlier=(options.work / DAY).resolve(),
    )  # fmt: skip
    folder = options.work / f"{domain}-{place}-segment"
    run(task, folder, context)
    return folder


def source_only(source: Path, options: argparse.Namespace, context: Context) -> Path:
    """The folder of the source-only segmenters, trained once for all targets and ways to adapt."""
    folder, settings = options.work / DAY, settings_of(DAY, options)
    own = SegmentSettings(**settings.model_dump(exclude=OF_ADAPTATION), seeds=settings.seeds)
    run(SegmentTask(source=source, arms=("source",), settings=own), folder, context)
    return folder


def oracle(domain: str, options: argparse.Namespace, context: Context) -> Path:
    """The folder of segmenters whose source was the day's scenes in the target's weather."""
    target = labelled_scenes(domain, TARGET_SEED, 0, options.test, options.work)
    source = labelled_scenes(domain, DAY_SEED, options.train, options.test, options.work / "oracle")
    folder = options.work / f"{domain}-oracle"
    run(SegmentTask(source=source, arms=("source",), target=target, settings=settings_of(domain, options)), folder, context)
    return folder


def settings_of(domain: str, options: argparse.Namespace) -> SegmentSettings:
    """Those of the weather's preset, with what the command gives in their place."""
    return SegmentSettings(seeds=options.seeds, **{**SEGMENT, **preset_of(domain).segment, **json.loads(options.segment)})


def carry_of(domain: str, options: argparse.Namespace) -> CarrySettings:
    """The same of the carried scenes."""
    return CarrySettings(**{**preset_of(domain).carry, **json.loads(options.carry)})


def preset_of(domain: str) -> Preset:
    """The preset of a weather; the night's where it has none."""
    return PRESETS.get(domain, PRESETS["night"])


def run(task: Task, folder: Path, context: Context) -> None:
    """A task to its end in its folder, with the seconds that it took added to those of its earlier parts."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    told(_timed(in_foreground(task, folder, folder.name, Tools(context, METHODS, lambda key: None)), folder))


def _timed(events: Iterator[StepEvent], folder: Path) -> Iterator[StepEvent]:
    before, began = seconds_of(folder), time.perf_counter()
    try:
        yield from events
    finally:
        if folder.is_dir():
            write_text(folder / SECONDS, json.dumps(round(before + time.perf_counter() - began, 1)))


def prove(options: argparse.Namespace) -> None:
    """The whole experiment; every part of it that is done already is left as it is."""
    if options.threads:
        torch.set_num_threads(options.threads)
    context = context_of(options)
    source = labelled_scenes("day", DAY_SEED, options.train, options.test, options.work)
    source_only(source, options, context)
    sections = []
    for domain in options.targets:
        folders = [adapted(domain, place, source, options, context) for place in range(options.shots)]
        best = oracle(domain, options, context) if options.oracle else None
        sections.append(section(domain, folders, best, options.work))
    facts = {**vars(options), "device": common.device_name(context.device), "command": common.command_line("core.pretrain.oneshot_quality")}
    facts["drawn"] = f" DATUM drew {options.images} pictures an image." if "generated" in options.arms else ""
    day = mious(options.work / DAY)["miou"].iloc[0]
    intro = INTRO.format(**facts) + f"\nSource only, by day: {100 * day:.1f} %."
    write_text(options.out, "\n\n".join([intro, *sections]) + "\n")
    print(options.out.read_text(encoding="utf-8"))


def context_of(options: argparse.Namespace) -> Context:
    """The embedded text-to-image model, opened when it is needed."""
    opened: list[Any] = []

    def text_to_image() -> Any:
        if not opened:
            folder = options.checkpoints / "streets"
            if not folder.is_dir():
                raise ShiftlabError(f"There is no text-to-image model at {folder}. Train it, or give generated pictures with --generated.")
            opened.append(load_text_to_image(folder))
        return opened[0]

    return Context(None, text_to_image=text_to_image)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    others = [domain for domain in world.DOMAINS if domain != "day"]
    parser.add_argument("--targets", nargs="+", choices=others, default=["night", "fog"], help="weathers to adapt to")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS), help="what is compared with source only")
    parser.add_argument("--shots", type=int, default=3, help="one-shot images of each target, one after the other")
    parser.add_argument("--train", type=int, default=1500, help="labelled scenes by day")
    parser.add_argument("--test", type=int, default=200, help="labelled scenes to measure on, by day and of each target")
    parser.add_argument("--seeds", type=int, default=1, help="segmenters of each kind and image")
    parser.add_argument("--images", type=int, default=240, help="pictures generated from each image")
    parser.add_argument("--personalise-steps", type=int, default=300, help="updates of the text-to-image model")
    parser.add_argument("--used", type=int, default=300, help="the kept checkpoint that generates; one is kept every so many updates")
    parser.add_argument("--tune", default="{}", help="settings of the personalisation in place of the preset's, as JSON")
    parser.add_argument("--generate", default="{}", help="the same for the generation")
    parser.add_argument("--carry", default="{}", help="settings of the carried scenes in place of the preset's of each target, as JSON")
    parser.add_argument("--segment", default="{}", help="the same for the segmenters")
    parser.add_argument("--generated", type=Path, default=None, help="folder with <target>-<image> folders of pictures to take instead")
    parser.add_argument("--oracle", action="store_true", help="train on labelled target scenes, too")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads; default: all")
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"), help="folder of the embedded models")
    parser.add_argument("--work", type=Path, default=Path("cache/oneshot"), help="folder of sets and runs")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/streets.md"), help="the table")
    prove(parser.parse_args())


if __name__ == "__main__":
    common.run_command(main)
