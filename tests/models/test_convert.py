"""Checkpoints to diffusers folders that diffusers itself loads, and back to the same keys and values."""

from __future__ import annotations

import json

import pytest
import torch
from diffusers import UNet2DModel
from diffusers.models.attention_processor import AttnProcessor2_0

from core.models.base import load_base
from core.models.convert import convert_to_checkpoint, convert_to_folder
from core.models.files import inspect, open_base, open_edit
from core.models.fingerprint import weights_hash
from core.models.mapping import DDPMConfig, GuidedConfig
from core.models.reading import read_content
from core.types import ShiftlabError
from tests.models.random_checkpoints import random_ddpm, random_guided
from tests.tiny import tiny_unet, write_base

DDPM = DDPMConfig(32, (1, 2), 1, (8,), 16)
GUIDED = GuidedConfig(32, (1, 2), 1, (2,), 32, 16)
X = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
T = torch.tensor([137])


@pytest.mark.long
@pytest.mark.parametrize(("state", "suffix"), [(random_ddpm(DDPM), ".ckpt"), (random_guided(GUIDED), ".safetensors")])
def test_there_and_back(tmp_path, state, suffix):
    torch.save(state, tmp_path / "mine.pt")
    folder = convert_to_folder(tmp_path / "mine.pt", tmp_path / "mine", domain="photo", image_size=16, head_channels=32)
    card = json.loads((folder / "card.json").read_text())
    base = load_base(folder, dtype=torch.float32)
    assert (card["name"], card["domain"], card["fingerprint"]) == ("mine", "photo", base.fingerprint)
    assert sorted(path.name for path in folder.iterdir()) == ["card.json", "config.json", "diffusion_pytorch_model.safetensors"]

    other_tool = UNet2DModel.from_pretrained(folder, use_safetensors=True, local_files_only=True)
    assert weights_hash(other_tool.state_dict()) == base.fingerprint
    with torch.no_grad():
        expected = other_tool(X, T).sample[:, :3]
    assert (base.eps(X, T) - expected).abs().max() < 1e-5 * expected.abs().max()
    attention = other_tool.mid_block.attentions[0]
    assert isinstance(attention.processor, AttnProcessor2_0)  # which is PyTorch's scaled_dot_product_attention

    back = convert_to_checkpoint(folder, tmp_path / f"back{suffix}")
    again = read_content(back)
    assert again.keys() == state.keys() and all(torch.equal(again[name], state[name]) for name in state)
    assert open_base(back, image_size=16, head_channels=32).fingerprint == base.fingerprint
    with pytest.raises(ShiftlabError, match="there already"):
        convert_to_checkpoint(folder, back)


def test_nothing_is_overwritten_and_nothing_half_done_stays(tmp_path):
    write_base(tmp_path / "base")
    with pytest.raises(ShiftlabError, match="not empty"):
        convert_to_folder(tmp_path / "base", tmp_path / "base")
    torch.save({"fc.weight": torch.zeros(2, 2)}, tmp_path / "other.pt")
    with pytest.raises(ShiftlabError, match="of no network"):
        convert_to_folder(tmp_path / "other.pt", tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "other.pt"]


def test_what_is_said_wins_over_the_card(tmp_path):
    write_base(tmp_path / "base")  # its card says "tiny base" and "photo"
    kept = json.loads((convert_to_folder(tmp_path / "base", tmp_path / "kept") / "card.json").read_text())
    said = convert_to_folder(tmp_path / "base", tmp_path / "said", name="hers", domain="sketch")
    told = json.loads((said / "card.json").read_text())
    assert (kept["name"], kept["domain"], kept["kind"]) == ("tiny base", "photo", "base")
    assert (told["name"], told["domain"]) == ("hers", "sketch") and load_base(said).name == "hers"


@pytest.mark.parametrize("channels", [16, 32], ids=["of_a_size_that_none_has", "of_another_make"])
def test_a_network_of_neither_family_has_no_checkpoint(channels, tmp_path):
    tiny_unet(channels=channels).save_pretrained(tmp_path / "base")
    with pytest.raises(ShiftlabError, match="neither"):
        convert_to_checkpoint(tmp_path / "base", tmp_path / "a.ckpt")
    with pytest.raises(ShiftlabError, match="endings"):
        convert_to_checkpoint(tmp_path / "base", tmp_path / "a.zip")


@pytest.mark.long
def test_a_folder_as_the_hub_had_it_in_2022(tmp_path):
    """A pipeline's folder: unet/, a pickled state dict with the old names of attention, and the schedule in scheduler/."""
    unet = tiny_unet()
    (tmp_path / "unet").mkdir()
    (tmp_path / "scheduler").mkdir()
    unet.save_config(tmp_path / "unet")
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    state = unet.state_dict()
    for new, name in old.items():
        state = {key.replace(f".{new}.", f".{name}."): tensor for key, tensor in state.items()}
    assert any(".proj_attn." in key for key in state)
    torch.save(state, tmp_path / "unet" / "diffusion_pytorch_model.bin")
    scheduler = {"num_train_timesteps": 500, "beta_start": 0.001, "beta_schedule": "linear", "prediction_type": "v_prediction"}
    (tmp_path / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))
    base = load_base(tmp_path, dtype=torch.float32)
    assert (base.schedule.num_steps, base.schedule.beta_start, base.prediction) == (500, 0.001, "v_prediction")
    assert base.fingerprint == inspect(write_base(tmp_path / "plain")).fingerprint
    folder = convert_to_folder(tmp_path, tmp_path / "new", name="renewed")
    assert load_base(folder).schedule.signature() == base.schedule.signature() and load_base(folder).name == "renewed"

    (tmp_path / "scheduler" / "scheduler_config.json").write_text(json.dumps({"beta_schedule": "squaredcos_cap_v2"}))
    with pytest.raises(ShiftlabError, match="squaredcos_cap_v2 noise schedule"):
        load_base(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", ["ddpm", "ddpm training file", "p2", "adm-256", "diffusionclip"])
def test_full_size(tmp_path, kind):
    """A random 256² model of each kind, saved as its users have it, opened, run once, converted there and back."""
    adm = GuidedConfig(model_channels=256, num_res_blocks=2, attention_resolutions=(8, 16, 32))
    guided = {"p2": GuidedConfig(), "adm-256": adm}
    state = random_guided(guided[kind]) if kind in guided else random_ddpm(DDPMConfig())
    names = {"ddpm": "celeba_hq.ckpt", "ddpm training file": "ckpt.pth", "diffusionclip": "pixar.pth"}
    path = tmp_path / names.get(kind, "ema.pt")
    torch.save([{}, {}, 1, 2, state] if "training" in kind else state, path)

    base = open_base(path)
    if kind == "diffusionclip":
        assert open_edit(path, base).card.base_fingerprint == base.fingerprint
    x = torch.randn(1, 3, 256, 256)
    eps = base.eps(x, T)
    assert base.image_size == 256 and eps.shape == x.shape and eps.isfinite().all()

    folder = convert_to_folder(path, tmp_path / "folder")
    assert UNet2DModel.from_pretrained(folder, local_files_only=True).config.sample_size == 256
    assert load_base(folder).fingerprint == base.fingerprint
    again = torch.load(convert_to_checkpoint(folder, tmp_path / "back.pt"), weights_only=True)
    assert again.keys() == state.keys() and all(torch.equal(again[name], state[name]) for name in state)
