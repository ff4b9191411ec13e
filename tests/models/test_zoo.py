"""The table of models, and fetching: out of a folder in the hub's place, over a local server that speaks as the hub does, and offline."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from diffusers import DDPMPipeline, DDPMScheduler

from core.models import download as downloading
from core.models.base import Base, load_base
from core.models.clip import IMAGENET_TEMPLATES, load_clip
from core.models.download import Folder, Hub, download
from core.models.files import inspect
from core.models.zoo import ZooEntry, entry_of, find, in_mirror, installed, mirror_folder, remove, zoo
from core.types import ShiftlabError, Stopped
from tests.tiny import drained, tiny_unet, write_base, write_clip

CHURCH, CLIP = entry_of("ddpm-ema-church-256"), entry_of("clip-vit-b-32-openai")


@pytest.fixture
def mirror(tmp_path):
    """A laboratory's folder with a church model, as the hub has it: without our card, with diffusers' scheduler."""
    folder = write_base(tmp_path / "mirror" / "google" / "ddpm-ema-church-256")
    (folder / "card.json").unlink()
    (folder / "scheduler_config.json").write_text(json.dumps({"beta_schedule": "linear", "num_train_timesteps": 1000}))
    return tmp_path / "mirror"


def test_the_table_is_complete():
    names = {entry.name for entry in zoo()}
    assert {f"ddpm-ema-{what}-256" for what in ("celebahq", "church", "bedroom", "cat")} <= names
    assert {"clip-vit-b-32-openai", "clip-vit-b-16-openai", "clip-vit-b-32-laion2b", "facenet-vggface2", "facenet-casia-webface"} <= names
    for entry in zoo():
        assert entry.licence != "unknown" and entry.megabytes and entry.image_size and entry.domain
        assert bool(entry.hub) != bool(entry.url)
        assert all(len(digest) == 64 for digest in entry.sha256.values())


def test_names_and_hub_ids_lead_to_an_entry():
    assert entry_of("google/ddpm-ema-church-256") is CHURCH
    assert (entry_of("someone/faces").kind, entry_of("someone/faces").hub) == ("base", "someone/faces")
    large = entry_of("ViT-L-14:openai")
    assert (large.kind, large.hub, large.name) == ("clip", "timm/vit_large_patch14_clip_224.openai", "ViT-L-14--openai")
    assert entry_of("ViT-B-32:openai") is CLIP
    unknown = {"ViT-L-14:nobody": "no weights 'nobody'", "ViT-B-16-SigLIP:webli": "another project", "x:y": "no model 'x'"}
    for strange, reason in unknown.items():
        with pytest.raises(ShiftlabError, match=reason):
            entry_of(strange)
    with pytest.raises(ShiftlabError, match="no model called 'sunflower'"):
        entry_of("sunflower")


def test_a_base_out_of_a_mirror(tmp_path, mirror):
    events, folder = drained(download(CHURCH, tmp_path / "home", mirror=mirror))
    assert events[-1].phase == "download" and events[-1].step == events[-1].total
    base = load_base(folder)
    assert (base.name, base.domain, base.schedule.num_steps) == ("DDPM, LSUN churches", "photo of a church", 1000)
    (model,) = installed(tmp_path / "home")
    assert (model.name, model.kind, model.card["licence"]) == (CHURCH.name, "base", "apache-2.0")
    assert drained(download(CHURCH, tmp_path / "home")) == ([], folder)  # it is there: nobody is asked
    assert find("google/ddpm-ema-church-256", tmp_path / "home") == folder
    remove(CHURCH.name, tmp_path / "home")
    assert installed(tmp_path / "home") == []


def test_a_base_in_a_pipeline_s_layout(tmp_path):
    """What diffusers' DDPMPipeline writes, beside a config.json of something else."""
    folder = tmp_path / "mirror" / "someone" / "faces"
    DDPMPipeline(tiny_unet(seed=4), DDPMScheduler(num_train_timesteps=500)).save_pretrained(folder)
    (folder / "config.json").write_text("{}")
    _, fetched = drained(download(entry_of("someone/faces"), tmp_path / "home", mirror=tmp_path / "mirror"))
    base = load_base(fetched)
    assert (base.fingerprint, base.schedule.num_steps) == (Base(tiny_unet(seed=4)).fingerprint, 500)
    assert inspect(fetched).kind == "folder"


def test_a_text_to_image_pipeline_is_told_from_a_base_before_its_weights_are_fetched(tmp_path):
    folder = tmp_path / "mirror" / "someone" / "faces" / "unet"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"_class_name": "UNet2DConditionModel"}')
    (folder / "diffusion_pytorch_model.safetensors").write_bytes(b"gigabytes")
    events = download(entry_of("someone/faces"), tmp_path / "home", mirror=tmp_path / "mirror")
    assert "config.json" in next(events).note
    with pytest.raises(ShiftlabError, match=r"UNet2DConditionModel, so it is no base.* text-to-image:someone/faces"):
        next(events)
    assert list((tmp_path / "home" / "models").iterdir()) == []


def test_a_model_is_found_in_the_mirror_itself(tmp_path, mirror, monkeypatch):
    with pytest.raises(ShiftlabError, match="models download ddpm-ema-church-256"):
        find(CHURCH.name, tmp_path)
    monkeypatch.setenv("SHIFTLAB_MODELS", str(mirror))
    assert find(CHURCH.name, tmp_path, mirror_folder()) == in_mirror(CHURCH, mirror)
    assert find(str(tmp_path), tmp_path) == tmp_path
    monkeypatch.setenv("SHIFTLAB_MODELS", str(mirror / "gone"))
    with pytest.raises(ShiftlabError, match="stand in for the hub, is not there"):
        mirror_folder()


def test_a_clip_gets_the_templates_of_photographs(tmp_path):
    folder = write_clip(tmp_path / "mirror" / CLIP.name)
    (folder / "model.safetensors").rename(folder / "open_clip_model.safetensors")
    _, fetched = drained(download(CLIP, tmp_path / "home", mirror=tmp_path / "mirror"))
    assert load_clip(fetched).templates == IMAGENET_TEMPLATES


def test_what_a_mirror_lacks_is_not_fetched_elsewhere(tmp_path, mirror):
    with pytest.raises(ShiftlabError, match="has no ddpm-ema-cat-256 or google/ddpm-ema-cat-256"):
        drained(download(entry_of("ddpm-ema-cat-256"), tmp_path / "home", mirror=mirror))
    (in_mirror(CHURCH, mirror) / "config.json").unlink()
    with pytest.raises(ShiftlabError, match=r"has no unet/config\.json or config\.json"):
        drained(download(CHURCH, tmp_path / "home", mirror=mirror))


def test_a_stopped_download_goes_on_where_it_ended(tmp_path, mirror, monkeypatch):
    monkeypatch.setattr(downloading, "CHUNK", 30_000)
    stop = iter([False, False, False, True])
    with pytest.raises(Stopped):
        drained(download(CHURCH, tmp_path / "home", mirror=mirror, should_stop=lambda: next(stop)))
    assert installed(tmp_path / "home") == []
    offsets = []

    class Watched(Folder):
        def file(self, entry, name):
            remote = super().file(entry, name)
            if remote is None:
                return None
            read = remote.read

            def watched(offset):
                offsets.append(offset)
                return read(offset)

            return downloading.Remote(remote.name, remote.bytes, remote.sha256, watched)

    _, folder = drained(download(CHURCH, tmp_path / "home", source=Watched(in_mirror(CHURCH, mirror))))
    assert {30_000, 60_000, 90_000} & set(offsets)
    assert load_base(folder).fingerprint == load_base(in_mirror(CHURCH, mirror)).fingerprint


def test_a_wrong_checksum_is_found_and_the_file_begun_anew(tmp_path, mirror):
    entry = CHURCH.model_copy(update={"sha256": {"config.json": "0" * 64}})
    with pytest.raises(ShiftlabError, match=r"config\.json .*checksum"):
        drained(download(entry, tmp_path / "home", mirror=mirror))
    assert installed(tmp_path / "home") == []
    drained(download(CHURCH, tmp_path / "home", mirror=mirror))


def test_a_disk_without_room_is_found_before(tmp_path, mirror, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=100 * 10**6))
    with pytest.raises(ShiftlabError, match="100 MB free"):
        drained(download(CHURCH, tmp_path / "home", mirror=mirror))


def test_offline_is_a_sentence(tmp_path):
    with pytest.raises(ShiftlabError, match="HF_HUB_OFFLINE"):
        drained(download(CHURCH, tmp_path / "home"))


class HubHandler(BaseHTTPRequestHandler):
    """Files of a folder at the hub's addresses, with ETags that are SHA-256, and ranges."""

    folder = None
    ranges: list[str] = []  # noqa: RUF012 (one server at a time)
    tokens: list[str | None] = []  # noqa: RUF012

    def _file(self):
        path = self.folder / self.path.rpartition("/resolve/main/")[2]
        return path.read_bytes() if path.is_file() else None

    def do_HEAD(self):
        self._answer(head=True)

    def do_GET(self):
        self._answer(head=False)

    def _answer(self, head):
        self.tokens.append(self.headers.get("Authorization"))
        data = self._file()
        if data is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        wanted = self.headers.get("Range")
        start = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else 0
        if wanted:
            self.ranges.append(wanted)
        self.send_response(206 if wanted else 200)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if not head:
            self.wfile.write(data[start:])

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture
def hub(mirror, monkeypatch):
    """The address of a hub on this machine."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(HubHandler, "folder", in_mirror(CHURCH, mirror))
    monkeypatch.setattr(HubHandler, "ranges", [])
    monkeypatch.setattr(HubHandler, "tokens", [])
    server = ThreadingHTTPServer(("127.0.0.1", 0), HubHandler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_over_the_wire_with_a_stop_between(tmp_path, hub, mirror, monkeypatch):
    monkeypatch.setattr(downloading, "CHUNK", 30_000)
    stop = iter([False, False, True])
    with pytest.raises(Stopped):
        drained(download(CHURCH, tmp_path / "home", source=Hub(hub), should_stop=lambda: next(stop)))
    _, folder = drained(download(CHURCH, tmp_path / "home", source=Hub(hub)))
    assert HubHandler.ranges == ["bytes=60000-"]
    assert load_base(folder).fingerprint == load_base(in_mirror(CHURCH, mirror)).fingerprint


def test_the_user_s_token_goes_to_the_hub_alone(tmp_path, hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_IMPLICIT_TOKEN", False)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    elsewhere = ZooEntry(name="config", kind="identity", title="a file", url=f"{hub}/resolve/main/config.json")
    drained(download(elsewhere, tmp_path / "home", source=Hub()))
    assert HubHandler.tokens == [None, None]
    drained(download(CHURCH, tmp_path / "home", source=Hub(hub)))
    assert set(HubHandler.tokens[2:]) == {"Bearer hf_secret"}


def test_a_hub_that_does_not_answer_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with pytest.raises(ShiftlabError, match="does not answer"):
        drained(download(CHURCH, tmp_path / "home", source=Hub("http://127.0.0.1:9")))
