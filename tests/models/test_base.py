"""The base: what it predicts, what it shares and what it copies, and every way in which a folder can be wrong."""

import json

import pytest
import torch
from diffusers import UNet2DModel
from safetensors.torch import load_file, save_file

from core.models.base import Base, load_base
from core.models.files import inspect
from core.models.fingerprint import weights_hash
from core.models.precision import best_dtype
from core.models.round_trip import precision_cost, round_trip_psnr
from core.process.ddim import eps_from_velocity
from core.process.schedule import Schedule
from core.types import ShiftlabError
from tests.tiny import tiny_unet, write_base

X = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
T = torch.tensor([10, 700])
WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture()
def base():
    return Base(tiny_unet())


def test_eps_is_the_networks_output_and_builds_no_graph(base):
    eps = base.eps(X, T)
    torch.testing.assert_close(eps, tiny_unet().eval()(X, T).sample, atol=1e-5, rtol=1e-5)
    assert eps.dtype == torch.float32 and not eps.requires_grad


def test_gradients_flow_to_the_image_where_it_asks(base):
    x = X.clone().requires_grad_()
    base.eps(x, T).sum().backward()
    assert x.grad.abs().sum() > 0


def test_learned_sigma_gives_the_first_half():
    unet = tiny_unet(out_channels=6)
    base = Base(unet)
    assert base.learn_sigma
    torch.testing.assert_close(base.eps(X, T), unet(X, T).sample[:, :3])


def test_velocity_prediction_becomes_eps(base):
    velocity = Base(tiny_unet(), prediction="v_prediction")
    expected = eps_from_velocity(base.eps(X, T), X, Schedule().alpha_bar_at(T))
    torch.testing.assert_close(velocity.eps(X, T), expected)


def test_bfloat16_only_inside_the_network(base):
    reduced = base.with_dtype(torch.bfloat16)
    eps = reduced.eps(X, T)
    assert reduced.unet is base.unet and eps.dtype == torch.float32
    assert 0 < (eps - base.eps(X, T)).abs().max() < 0.1


def test_best_dtype_is_one_of_two():
    assert best_dtype("cpu") in (torch.bfloat16, torch.float32)


@pytest.mark.long
def test_precision_cost_compares_round_trips(base):
    cost = precision_cost(base, X.clamp(-1, 1), t0=100, steps=4)
    assert cost["psnr_float32"] == pytest.approx(round_trip_psnr(base, X.clamp(-1, 1), 100, 4))
    assert cost["cost_db"] == cost["psnr_float32"] - cost["psnr_reduced"]


def test_round_trip_psnr_is_averaged_over_images_in_decibels():
    unet = tiny_unet()
    unet.conv_out.weight.data.zero_()
    unet.conv_out.bias.data.zero_()  # ε = 0: the walk only scales, so the image comes back
    assert round_trip_psnr(Base(unet), X.clamp(-1, 1), 601, 6) > 60


def test_tuned_has_weights_of_its_own(base):
    other = tiny_unet(seed=1).state_dict()
    tuned = base.tuned(other)
    assert tuned.fingerprint == weights_hash(other) != base.fingerprint
    torch.testing.assert_close(tuned.eps(X, T), Base(tiny_unet(seed=1)).eps(X, T))
    torch.testing.assert_close(base.eps(X, T), Base(tiny_unet()).eps(X, T))


def test_tuned_refuses_weights_that_do_not_fit(base):
    weights = dict(base.state_dict())
    weights.pop("conv_in.weight")
    with pytest.raises(ShiftlabError, match=r"lack conv_in\.weight"):
        base.tuned(weights)
    with pytest.raises(ShiftlabError, match="unknown extra"):
        base.tuned({**base.state_dict(), "extra": torch.zeros(1)})
    with pytest.raises(ShiftlabError, match=r"another shape for conv_in\.weight"):
        base.tuned({**base.state_dict(), "conv_in.weight": torch.zeros(1)})


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_trainable_copy_learns_and_the_base_stays(base, checkpointing):
    unet = base.trainable_copy(gradient_checkpointing=checkpointing)
    assert unet.training and unet.is_gradient_checkpointing == checkpointing
    base.eps_model(unet)(X, T).square().mean().backward()
    assert all(p.grad is not None for p in unet.parameters())
    assert not any(p.requires_grad for p in base.unet.parameters())


def test_gradient_checkpointing_changes_no_gradient(base):
    gradients = []
    for checkpointing in (False, True):
        unet = base.trainable_copy(checkpointing)
        base.eps_model(unet)(X, T).square().mean().backward()
        gradients.append(unet.conv_in.weight.grad)
    torch.testing.assert_close(*gradients)


def test_impossible_networks_are_refused():
    with pytest.raises(ShiftlabError, match="prediction type"):
        Base(tiny_unet(), prediction="sample")
    with pytest.raises(ShiftlabError, match="no noise prediction"):
        Base(tiny_unet(out_channels=4))


def test_fingerprint_knows_values_and_names_but_not_order_or_precision():
    weights = {"a": torch.randn(3).half(), "b": torch.arange(3)}
    same = {"b": weights["b"], "a": weights["a"].float()}
    assert weights_hash(weights) == weights_hash(same) and len(weights_hash(weights)) == 16
    assert weights_hash({"c": weights["a"], "b": weights["b"]}) != weights_hash(weights)
    assert weights_hash({"a": weights["a"] + 1, "b": weights["b"]}) != weights_hash(weights)


def test_load_base_reads_a_diffusers_folder_with_its_card(tmp_path):
    base = load_base(write_base(tmp_path / "base"), dtype=torch.float32)
    assert (base.name, base.domain, base.prediction, base.image_size) == ("tiny base", "photo", "epsilon", 16)
    torch.testing.assert_close(base.eps(X, T), Base(tiny_unet()).eps(X, T))
    assert load_base(tmp_path / "base").dtype == best_dtype("cpu")


def test_a_card_may_name_another_schedule_and_no_card_is_needed(tmp_path):
    folder = write_base(tmp_path / "base")
    (folder / "card.json").write_text(json.dumps({"schedule": {"num_steps": 500}, "prediction": "v_prediction"}))
    base = load_base(folder)
    assert base.schedule.num_steps == 500 and base.prediction == "v_prediction"
    (folder / "card.json").unlink()
    assert load_base(folder).name == "base"


@pytest.mark.parametrize("schedule", [{"beta_schedule": "cosine"}, {"steps": 9}, {"num_steps": 1}, {"num_steps": "many"}, 1000])
def test_a_schedule_that_cannot_be_walked_is_a_sentence(tmp_path, schedule):
    folder = write_base(tmp_path / "base")
    (folder / "card.json").write_text(json.dumps({"schedule": schedule}))
    with pytest.raises(ShiftlabError, match=r"The card of .*base names a noise schedule that cannot be walked"):
        load_base(folder)


def test_a_network_of_other_pictures_is_refused(tmp_path):
    known = {name: value for name, value in tiny_unet().config.items() if not name.startswith("_")}
    latent = UNet2DModel(**{**known, "in_channels": 4, "out_channels": 4})
    latent.save_pretrained(tmp_path)
    for read in (lambda: Base(latent), lambda: load_base(tmp_path), lambda: inspect(tmp_path)):
        with pytest.raises(ShiftlabError, match="takes 4-channel pictures"):
            read()


def drop_config(folder):
    (folder / "config.json").unlink()


def spoil_config(folder):
    (folder / "config.json").write_text("{")


def another_class(folder):
    (folder / "config.json").write_text('{"_class_name": "AutoencoderKL"}')


def no_size(folder):
    config = json.loads((folder / "config.json").read_text()) | {"sample_size": None}
    (folder / "config.json").write_text(json.dumps(config))


def impossible_config(folder):
    config = json.loads((folder / "config.json").read_text()) | {"up_block_types": ["UpBlock2D"]}
    (folder / "config.json").write_text(json.dumps(config))


def drop_weights(folder):
    (folder / WEIGHTS).unlink()


def cut_weights(folder):
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:1000])


def mismatch_weights(folder):
    weights = load_file(folder / WEIGHTS)
    weights["conv_in.weight"] = torch.zeros(1)
    save_file(weights, folder / WEIGHTS)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (drop_config, "has no config.json"),
        (spoil_config, "not readable JSON"),
        (another_class, "another kind of model .AutoencoderKL."),
        (no_size, "image size"),
        (impossible_config, "no network that can be built"),
        (drop_weights, "has no diffusion_pytorch_model"),
        (cut_weights, "cannot be read"),
        (mismatch_weights, "another shape for"),
    ],
)
def test_every_fault_of_a_folder_is_a_sentence(tmp_path, damage, sentence):
    folder = write_base(tmp_path / "base")
    damage(folder)
    with pytest.raises(ShiftlabError, match=sentence):
        load_base(folder)


def test_a_missing_folder_is_a_sentence(tmp_path):
    with pytest.raises(ShiftlabError, match="no base model"):
        load_base(tmp_path / "nowhere")
