"""Which checkpoint of a personalisation draws: the same picker beside its samples and beside the prompts."""

from __future__ import annotations

from typing import Any

import gradio as gr

from core.types import ShiftlabError
from ui.oneshot_chain import AS_IT_WAS, Chain, Seen, Shelves, Updates, Values

AS_BEFORE = "the model as it was"


class CheckpointPicker:
    """prefix: of the elem_id."""

    def __init__(self, lab: Any, shelves: Shelves, label: str, prefix: str) -> None:
        self.lab, self.shelves, self.prefix = lab, shelves, prefix
        self.part = gr.Dropdown(
            [(AS_BEFORE, AS_IT_WAS)], value=AS_IT_WAS, label=label, interactive=True, allow_custom_value=True,
            info="Later steps look more like the image, and more like one another.", elem_id=f"{prefix}-checkpoint",
        )  # fmt: skip

    def choose(self, values: Values, seen: Seen) -> None:
        if not isinstance(values[self.part], int):
            raise ShiftlabError(f"There is no checkpoint “{values[self.part]}”. Choose one of the list.")
        self.shelves.shots.choose(step=values[self.part])

    def show(self, chain: Chain, seen: Seen) -> Updates:
        """What is not on the page yet."""
        told = (chain.personalise and chain.personalise.id, len(chain.kept), chain.checkpoint)
        if not seen.new(f"{self.prefix} checkpoints", told):
            return {}
        choices = [(AS_BEFORE, AS_IT_WAS), *((words, step) for step, words in self._steps(chain))]
        return {self.part: gr.update(choices=choices, value=chain.checkpoint[0] if chain.checkpoint else AS_IT_WAS)}

    def _steps(self, chain: Chain) -> list[tuple[int, str]]:
        """The kept steps, with how much the samples of each vary."""
        if chain.personalise is None:
            return []
        rows = self.lab.events(chain.personalise.id)
        varied = {row["step"]: row["variety"] for row in rows if row["phase"] == "sample" and "variety" in row}
        return [(step, f"step {step:,}" + (f" · variety {varied[step]:.2f}" if step in varied else "")) for step, _ in chain.kept]
