"""Weight files as people bring them: each kind recognised, opened and run; each impostor refused with its reason."""

from __future__ import annotations

import pickle
from dataclasses import asdict

import pytest
import torch
from safetensors.torch import save_file

from core.data.edits import save_edit
from core.models.base import load_base
from core.models.clip_hub import load_open_clip
from core.models.files import inspect, open_asyrp, open_base, open_edit
from core.models.mapping import DDPMConfig, GuidedConfig
from core.models.recognise import recognise
from core.models.zoo import entry_of
from core.types import Edit, EditCard, ShiftlabError
from tests.models import reference_unets
from tests.models.random_checkpoints import random_ddpm, random_guided
from tests.tiny import write_base

DDPM = DDPMConfig(32, (1, 2), 1, (8,), 16)
GUIDED = GuidedConfig(32, (1, 2), 1, (2,), 32, 16)
X = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
T = torch.tensor([137])


@pytest.fixture(scope="module")
def ddpm():
    return random_ddpm(DDPM)


@pytest.fixture(scope="module")
def guided():
    return random_guided(GUIDED)


def delta_block(kind, channels=32, embedding=128):
    square, wide = torch.randn(channels, channels, 1, 1), torch.randn(channels, embedding)
    tensors = {
        "ddpm": {"conv1": square, "temb_proj": wide, "norm2": torch.ones(channels), "conv2": square},
        "guided": {
            "in_layers.0": torch.ones(channels), "in_layers.2": square, "emb_layers.1": wide,
            "out_layers.0": torch.ones(channels), "out_layers.3": square,
        },
    }[kind]  # fmt: skip
    return {f"{name}.weight": tensor for name, tensor in tensors.items()} | {f"{name}.bias": torch.zeros(channels) for name in tensors}


CONFIGS = [
    DDPM,
    DDPMConfig(32, (1, 1, 2), 2, (8, 4), 16),
    DDPMConfig(64, (1, 1), 1, (), 16),
    GUIDED,
    GuidedConfig(32, (1, 2, 2), 2, (2, 4), 16, 16),
    GuidedConfig(32, (1, 1, 2), 1, (1, 4), 32, 16, out_channels=3),
    GuidedConfig(32, (1, 2), 1, (2,), 32, 16, resblock_updown=False),
    GuidedConfig(64, (1, 2), 1, (), 64, 16, use_scale_shift_norm=False),
]


@pytest.mark.parametrize("config", CONFIGS)
def test_the_architecture_is_read_from_the_shapes(config):
    state = random_ddpm(config) if isinstance(config, DDPMConfig) else random_guided(config)
    found = recognise(state, image_size=16, head_channels=getattr(config, "num_head_channels", None))
    assert asdict(found.config) == asdict(config) and found.notes == ()


@pytest.mark.long
def test_what_the_shapes_do_not_say_is_asked_for_or_said(ddpm, guided):
    with pytest.raises(ShiftlabError, match="image size"):
        recognise(ddpm)
    with pytest.raises(ShiftlabError, match="fixed number of heads"):
        recognise(guided, image_size=16)
    with torch.device("meta"):
        published = recognise(meta(GuidedConfig()))
    assert published.config == GuidedConfig() and len(published.notes) == 2
    assert "P2" in published.title


def meta(config):
    """A full-size checkpoint's keys and shapes, without its values."""
    with torch.device("meta"):
        return random_guided(config) if isinstance(config, GuidedConfig) else random_ddpm(config)


@pytest.mark.long
def test_the_published_sizes_are_recognised():
    assert recognise(meta(DDPMConfig())).config == DDPMConfig()
    adm = GuidedConfig(model_channels=256, num_res_blocks=2, attention_resolutions=(8, 16, 32))
    assert recognise(meta(adm)).config == adm and "ADM-256" in recognise(meta(adm)).title


@pytest.mark.long
def test_what_cannot_be_represented_is_refused_by_name():
    adm_128 = meta(GuidedConfig(32, (1, 1, 2, 3, 4), 2, (4, 8, 16), 32, 128))
    with pytest.raises(ShiftlabError, match=r"ADM-128.*fixed number of heads"):
        recognise(adm_128)
    half = meta(GuidedConfig(32, (1, 2), 1, (2,), 32, 16))
    half["time_embed.0.weight"] = torch.empty(256, 64, device="meta")
    with pytest.raises(ShiftlabError, match=r"ImageNet-512.*0\.5"):
        recognise(half)
    conditional = meta(GUIDED) | {"label_emb.weight": torch.empty(1000, 128, device="meta")}
    with pytest.raises(ShiftlabError, match="class-conditional"):
        recognise(conditional, image_size=16, head_channels=32)


@pytest.mark.parametrize("form", ["plain", "list", "module", "half", "safetensors", "legacy"])
def test_a_ddpm_file_in_every_form_is_the_same_base(tmp_path, ddpm, form):
    path = tmp_path / ("celeba_hq.safetensors" if form == "safetensors" else "celeba_hq.ckpt")
    if form == "safetensors":
        save_file({name: tensor.contiguous() for name, tensor in ddpm.items()}, path)
    elif form == "list":
        torch.save([random_ddpm(DDPM, 9), {"state": {}, "param_groups": []}, 3, 1000, ddpm], path)
    elif form == "legacy":
        torch.save(ddpm, path, _use_new_zipfile_serialization=False)
    else:
        torch.save({"module." * (form == "module") + k: v.half() if form == "half" else v for k, v in ddpm.items()}, path)
    base = open_base(path, image_size=16, dtype=torch.float32)
    expected = reference_unets.ddpm(ddpm, DDPM, X, T)
    assert (base.eps(X, T) - expected).abs().max() < (1e-2 if form == "half" else 1e-5) * expected.abs().max()
    facts = inspect(path, image_size=16)
    assert facts.kind == "ddpm" and facts.fingerprint == base.fingerprint and facts.bytes == path.stat().st_size


def test_a_guided_file_is_a_base_with_learned_sigma(tmp_path, guided):
    torch.save(guided, path := tmp_path / "ffhq_p2.pt")
    base = open_base(path, image_size=16, head_channels=32, dtype=torch.float32)
    expected = reference_unets.guided(guided, GUIDED, X, T)[:, :3]
    assert base.learn_sigma and (base.eps(X, T) - expected).abs().max() < 1e-5 * expected.abs().max()
    assert inspect(path, image_size=16, head_channels=32).details["outputs"] == "ε and variance"


@pytest.mark.parametrize(("kind", "count"), [("ddpm", 1), ("guided", 2)])
def test_both_delta_blocks_of_asyrp_are_read(tmp_path, kind, count):
    blocks = {str(i): delta_block(kind) for i in range(count)}
    beside = {"optimizer": {"state": {}, "param_groups": [{"lr": 0.5}]}, "scheduler": {"last_epoch": 4}}
    torch.save({**blocks, **beside}, tmp_path / "smiling.pth")
    read = open_asyrp(tmp_path / "smiling.pth")
    assert [(block.kind, block.channels, block.embedding) for block in read] == [(kind, 32, 128)] * count
    assert torch.equal(next(iter(read[0].weights.values())), next(iter(blocks["0"].values())))
    assert inspect(tmp_path / "smiling.pth").kind == "asyrp"
    with pytest.raises(ShiftlabError, match="edit of Asyrp and no base"):
        open_base(tmp_path / "smiling.pth")


def test_the_published_guided_delta_block_has_its_size(tmp_path):
    torch.save({"0": delta_block("guided", 512, 512)}, tmp_path / "edit.pth")
    assert open_asyrp(tmp_path / "edit.pth")[0].parameters == 790_016


def test_an_asyrp_file_with_several_blocks_is_no_edit(tmp_path, ddpm):
    torch.save(ddpm, tmp_path / "celeba_hq.ckpt")
    torch.save({"0": delta_block("ddpm"), "1": delta_block("ddpm")}, tmp_path / "two.pth")
    with pytest.raises(ShiftlabError, match="holds 2 delta blocks"):
        open_edit(tmp_path / "two.pth", open_base(tmp_path / "celeba_hq.ckpt", image_size=16))


@pytest.mark.parametrize("fault", ["missing", "unknown", "misshapen"])
def test_a_delta_block_is_read_strictly(tmp_path, fault):
    block = delta_block("ddpm")
    if fault == "missing":
        del block["conv2.bias"]
    elif fault == "unknown":
        block["conv3.weight"] = torch.zeros(1)
    else:
        block["conv2.weight"] = torch.zeros(32, 16, 1, 1)
    torch.save({"0": block}, tmp_path / "edit.pth")
    with pytest.raises(ShiftlabError, match=r"Block 0 .*conv[23]"):
        open_asyrp(tmp_path / "edit.pth")


def test_a_diffusionclip_file_becomes_an_edit_of_the_named_base(tmp_path, ddpm):
    torch.save(ddpm, tmp_path / "celeba_hq.ckpt")
    torch.save(tuned := random_ddpm(DDPM, seed=1), tmp_path / "pixar.pth")
    base = open_base(tmp_path / "celeba_hq.ckpt", image_size=16, dtype=torch.float32)
    edit = open_edit(tmp_path / "pixar.pth", base, target_prompt="a Pixar character")
    expected = reference_unets.ddpm(tuned, DDPM, X, T)
    assert (base.tuned(edit.weights).eps(X, T) - expected).abs().max() < 1e-5 * expected.abs().max()
    assert edit.card.base_fingerprint == base.fingerprint and edit.card.name == "pixar" and edit.card.target_prompt == "a Pixar character"
    torch.save(random_ddpm(DDPMConfig(32, (1, 1), 1, (8,), 16)), tmp_path / "other.pth")
    with pytest.raises(ShiftlabError, match="another network"):
        open_edit(tmp_path / "other.pth", base)


def test_an_edit_of_this_lab_is_refused_on_another_base_by_name(tmp_path):
    base, other = (load_base(write_base(tmp_path / str(seed), seed)) for seed in (0, 1))
    save_edit(tmp_path / "sketch.safetensors", Edit(EditCard(name="sketch", method="diffusionclip", base_fingerprint=base.fingerprint),
                                                    base.state_dict()), base.state_dict())  # fmt: skip
    assert inspect(tmp_path / "sketch.safetensors").details["base"] == base.fingerprint
    assert open_edit(tmp_path / "sketch.safetensors", base).card.name == "sketch"
    with pytest.raises(ShiftlabError, match=f"sketch.*{base.fingerprint}.*{other.fingerprint}"):
        open_edit(tmp_path / "sketch.safetensors", other)
    assert open_edit(tmp_path / "sketch.safetensors", other, any_base=True).card.name == "sketch"
    with pytest.raises(ShiftlabError, match="an edit and no base"):
        open_base(tmp_path / "sketch.safetensors")


def test_an_edit_of_a_text_to_image_model_is_not_asked_for_its_base(tmp_path):
    card = EditCard(name="night", method="datum", base_fingerprint="a text-to-image model's", network="text_to_image", weights="own")
    save_edit(tmp_path / "night.safetensors", Edit(card, {"unet.a": torch.ones(2)}), {})
    assert open_edit(tmp_path / "night.safetensors", load_base(write_base(tmp_path / "base"))).card == card


class Bomb:
    def __reduce__(self):
        return print, ("executed",)


def test_code_is_named_and_not_executed(tmp_path, capsys, ddpm):
    torch.save({**ddpm, "temb.dense.0.weight": Bomb()}, tmp_path / "zip.ckpt")
    (tmp_path / "bare.ckpt").write_bytes(pickle.dumps(Bomb(), protocol=2))
    for name in ("zip.ckpt", "bare.ckpt"):
        with pytest.raises(ShiftlabError, match=r"holds pickled code.*print"):
            open_base(tmp_path / name)
    assert "executed" not in capsys.readouterr().out


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::FutureWarning")  # torch's, of its scripts
def test_a_script_is_named_and_not_executed(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "ViT-B-16.pt")
    assert entry_of("clip-vit-b-16-openai").kind == entry_of("ViT-L-14:openai").kind == "clip", "which the sentence names"
    sentence = r"ViT-B-16\.pt is a program \(TorchScript\), .*safetensors.* clip-vit-b-16-openai, or ViT-L-14:openai"
    with pytest.raises(ShiftlabError, match=sentence):
        inspect(tmp_path / "ViT-B-16.pt")
    with pytest.raises(ShiftlabError, match=sentence):
        load_open_clip("RN50", str(tmp_path / "ViT-B-16.pt"))


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.98])
def test_a_truncated_file_is_called_so(tmp_path, ddpm, legacy, kept):
    torch.save(ddpm, path := tmp_path / "celeba_hq.ckpt", _use_new_zipfile_serialization=not legacy)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(ShiftlabError, match="truncated"):
        open_base(path, image_size=16)


def test_a_truncated_safetensors_file_is_called_so(tmp_path):
    save_file({"temb.dense.0.weight": torch.zeros(64, 64)}, path := tmp_path / "a.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ShiftlabError, match="truncated"):
        inspect(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "LFS pointer"),
        (b"hello, weights", "no weight file"),
    ],
)
def test_what_downloads_leave_behind_is_named(tmp_path, content, reason):
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(ShiftlabError, match=reason):
        inspect(tmp_path / "a.pt")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(2, 2)}, "Stable Diffusion"),
        ({"visual.proj": torch.zeros(2, 2)}, "CLIP"),
        ({"fc.weight": torch.zeros(2, 2)}, r"keys fc\.weight"),
        ([{}, {}, 1, 2], "without averaged weights"),
        ({"temb.dense.0.weight": torch.zeros(2, 2), "epoch": 3}, "'epoch' is no tensor"),
        (torch.zeros(3), "holds a Tensor"),
        ({}, "no keys"),
    ],
)
def test_other_architectures_are_refused_by_what_they_hold(tmp_path, content, reason):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(ShiftlabError, match=reason):
        inspect(tmp_path / "a.pt")


def test_a_checkpoint_of_other_pictures_is_refused(tmp_path):
    torch.save(random_ddpm(DDPMConfig(32, (1, 2), 1, (8,), 16, in_channels=1, out_channels=1)), tmp_path / "digits.ckpt")
    for read in (inspect, open_base):
        with pytest.raises(ShiftlabError, match="takes 1-channel pictures"):
            read(tmp_path / "digits.ckpt", image_size=16)


def test_missing_and_extra_keys_are_named(tmp_path, ddpm):
    lacking = {name: tensor for name, tensor in ddpm.items() if name != "mid.attn_1.norm.bias"}
    for state, reason in ((lacking, "lack mid_block"), (ddpm | {"extra.weight": torch.zeros(1)}, r"such as extra\.weight")):
        torch.save(state, tmp_path / "a.ckpt")
        with pytest.raises(ShiftlabError, match=reason):
            open_base(tmp_path / "a.ckpt", image_size=16)
