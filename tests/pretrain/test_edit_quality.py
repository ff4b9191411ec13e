"""The table of the shipped edits, on tiny random models: its shares, its rows, and the pictures beside it."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from core.data.edits import save_edit
from core.models.base import load_base
from core.pretrain import edits
from core.pretrain.edit_quality import SHOWN, kept, main, reached
from core.pretrain.edits import RECIPES
from core.types import Edit, EditCard, ShiftlabError
from core.worlds import portraits as world
from tests.tiny import IMAGE_SIZE, write_judge, write_models


class TruthfulJudge:
    """Reads what is written into the first numbers of a picture: a domain's place, then an attribute each."""

    def domains(self, images):
        return torch.nn.functional.one_hot(images[:, 0, 0, 0].long(), len(world.DOMAINS)).float()

    def attributes(self, images):
        return images[:, 0, 0, 1 : 1 + len(world.ATTRIBUTES)]


def picture(domain: str, *attributes: str) -> torch.Tensor:
    image = torch.zeros(3, 2, 8)
    image[0, 0, 0] = world.DOMAINS.index(domain)
    for name in attributes:
        image[0, 0, 1 + world.ATTRIBUTES.index(name)] = 1
    return image


def test_a_target_is_a_domain_or_its_attributes():
    images = torch.stack([picture("sketch"), picture("photo", "smiling"), picture("photo")])
    assert reached(TruthfulJudge(), RECIPES["sketch"], images) == pytest.approx(1 / 3)
    assert reached(TruthfulJudge(), RECIPES["smiling"], images) == pytest.approx(1 / 3)


def test_kept_counts_what_can_be_read_in_true_pictures():
    truth = torch.zeros(1, len(world.ATTRIBUTES), dtype=torch.bool)
    true_picture, edited = picture("sketch", "old"), picture("sketch", "old", "hat")  # old is misread in the truth, so it does not count
    others = len(world.ATTRIBUTES) - 1
    assert kept(TruthfulJudge(), truth, edited[None], true_picture[None], ()) == pytest.approx((others - 1) / others)
    assert kept(TruthfulJudge(), truth, edited[None], true_picture[None], ("hat",)) == 1


@pytest.mark.long
def test_the_command_writes_a_row_an_edit_and_shows_each(tmp_path, monkeypatch):
    torch.manual_seed(0)
    checkpoints = write_models(tmp_path / "checkpoints")
    write_judge(checkpoints / "judge")
    base = load_base(checkpoints / "base", device="cpu")
    state = base.state_dict()
    for name, scale in (("smiling", 0.5), ("sketch", 0.0)):
        card = EditCard(
            name=RECIPES[name].title, method="diffusionclip", base_fingerprint=base.fingerprint, reference_prompt=RECIPES[name].reference,
            target_prompt=RECIPES[name].target, settings={"return_step": 301, "attention_guidance": scale},
        )  # fmt: skip
        save_edit(checkpoints / "edits" / f"{name}.safetensors", Edit(card, {key: weight * 1.01 for key, weight in state.items()}), state)
    monkeypatch.setattr(edits, "CHUNK", 8)
    given = ["--checkpoints", str(checkpoints), "--edits", str(checkpoints / "edits"), "--cache", str(tmp_path / "cache")]
    monkeypatch.setattr("sys.argv", ["edit_quality", *given, "--count", "12", "--steps", "2", "--out", str(tmp_path / "table.md")])
    main()
    text = (tmp_path / "table.md").read_text()
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("|")}
    assert " 0.500 " in rows["Smiling"] and "Pencil sketch" in rows and "Oil painting" not in rows
    assert "--count 12 --steps 2" in text and "(tiny identity " in text and "S_dir: tiny clip " in text and "![](table.png)" in text
    with Image.open(tmp_path / "table.png") as sheet:
        assert sheet.size == (SHOWN * (IMAGE_SIZE + 2) + 2, 6 * (IMAGE_SIZE + 2) + 2)

    monkeypatch.chdir(tmp_path)
    Path("benchmarks").mkdir()
    monkeypatch.setattr("sys.argv", ["edit_quality", "smiling", *given, "--count", "2", "--steps", "2"])
    main()
    assert "core.pretrain.edit_quality smiling --count 2" in Path("benchmarks/edit_quality_smiling.md").read_text(), "the whole table stays"


def test_a_folder_without_edits_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["edit_quality", "--edits", str(tmp_path), "--out", str(tmp_path / "table.md")])
    with pytest.raises(ShiftlabError, match="There are no edits in"):
        main()
    assert not list(tmp_path.iterdir()), "nothing is written over"
