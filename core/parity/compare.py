"""Every vector file of a folder against ours, printed entry by entry."""

from __future__ import annotations

from pathlib import Path

from core.parity import asyrp, ddpm_diffusionclip, domainstudio, egsde, guided_p2, sdft
from core.parity.vectors import Comparison, read_vectors
from core.types import ShiftlabError

COMPARISONS: dict[str, Comparison] = {  # file stem → comparison
    "asyrp": asyrp.compare,
    "ddpm_diffusionclip": ddpm_diffusionclip.compare,
    "domainstudio": domainstudio.compare,
    "egsde": egsde.compare,
    "guided_p2": guided_p2.compare,
    "sdft": sdft.compare,
}


def compare_folder(folder: Path) -> bool:
    """Prints the relative error of every entry of every file; True when all that could be compared agrees.

    A file without a comparison is named and does not fail. Raises ShiftlabError when the folder holds no vector file, or a comparison
    finds nothing to compare in its file.
    """
    paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        raise ShiftlabError(f"{folder} holds no vector files (*.safetensors). Name the folder that does: make parity VECTORS=<folder>.")
    agreements = [compare_file(path) for path in paths]
    failed = sum(not agreed for agreed in agreements)
    print(f"{failed} of {len(paths)} files disagree." if failed else "Everything compared agrees.")
    return failed == 0


def compare_file(path: Path) -> bool:
    """Prints one file's entries; True when all agree, or when there is no comparison for it yet."""
    comparison = COMPARISONS.get(path.stem)
    if comparison is None:
        print(f"{path.stem}: no comparison yet")
        return True
    print(path.stem)
    entries = list(comparison(read_vectors(path)))
    if not entries:
        raise ShiftlabError(f"{path} holds nothing that {path.stem} can compare. Record its results under their documented names.")
    for entry in entries:
        print(f"  {entry.name:<36} {entry.error:9.2e}  bound {entry.bound:.0e}  {'ok' if entry.agrees else 'DISAGREES'}")
    return all(entry.agrees for entry in entries)
