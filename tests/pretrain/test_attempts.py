"""Pictures that edits made, graded by the truth, and their place in CLIP's batches."""

import numpy as np
import pytest
import torch

from core.pretrain.attempts import Attempts, grade
from core.pretrain.augment import gaussian_blur
from core.pretrain.clip_batch import ATTEMPT_SHARE, draw_batch
from core.pretrain.pairs import paired_set
from core.pretrain.wording import Reader
from core.worlds.portraits import DOMAINS, render, sample

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return paired_set(4, 3, tmp_path_factory.mktemp("cache"))


def saved(folder, name: str, grades: torch.Tensor, value: int) -> None:
    count = len(grades)
    np.savez(
        folder / f"{name}.npz",
        images=np.full((count, 3, 64, 64), value, dtype=np.uint8),
        portrait=np.arange(count),
        domain=np.full(count, DOMAINS.index("sketch")),
        grades=grades.numpy(),
    )


def test_grades_run_from_the_source_to_the_target():
    people = sample(4, 5)
    photos, sketches = render(people, "photo"), render(people, "sketch")
    torch.testing.assert_close(grade(photos, photos, sketches), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(grade(sketches, photos, sketches), torch.ones(4), atol=1e-5, rtol=0)
    half = grade((photos + sketches) / 2, photos, sketches)
    torch.testing.assert_close(half, torch.full((4,), 0.5), atol=0.1, rtol=0)  # lines fade unevenly


def test_a_rosy_sketch_is_graded_below_a_clean_one():
    people = sample(4, 6)
    photos, sketches = render(people, "photo"), render(people, "sketch")
    rosy = (sketches + torch.tensor([0.3, -0.1, 0.1]).view(3, 1, 1)).clamp(-1, 1)
    assert (grade(rosy, photos, sketches) < 0.9).all()


def test_a_sketch_without_its_lines_is_graded_below_a_clean_one():
    people = sample(4, 7)
    photos, sketches = render(people, "photo"), render(people, "sketch")
    assert (grade(gaussian_blur(sketches, 2.0), photos, sketches) < 0.85).all()


def test_an_edit_that_went_the_wrong_way_is_graded_zero():
    photos, sketches = torch.zeros(1, 3, 64, 64), torch.full((1, 3, 64, 64), 0.5)
    assert grade(torch.full((1, 3, 64, 64), -0.9), photos, sketches).item() == 0


def test_all_rounds_of_a_folder_are_read_together(tmp_path):
    assert Attempts.read(tmp_path) is None
    saved(tmp_path, "1-sketch", torch.tensor([0.2, 0.3]), 10)
    saved(tmp_path, "2-sketch", torch.tensor([0.6]), 20)
    attempts = Attempts.read(tmp_path)
    assert len(attempts) == 3
    assert attempts.images[:, 0, 0, 0].tolist() == [10, 10, 20]
    torch.testing.assert_close(attempts.grades, torch.tensor([0.2, 0.3, 0.6]))


def test_a_batch_takes_its_share_of_attempts_with_their_grades(tmp_path, pairs):
    saved(tmp_path, "1-sketch", torch.tensor([0.25, 0.25, 0.25]), 128)
    torch.manual_seed(0)
    groups = 20
    batch = draw_batch(pairs, groups, Reader(24), Attempts.read(tmp_path))
    tried = int(ATTEMPT_SHARE * groups)
    assert batch.first[:tried].eq(DOMAINS.index("photo")).all() and batch.second[:tried].eq(DOMAINS.index("sketch")).all()
    assert batch.share[:tried].eq(0.25).all() and not batch.share[tried:].eq(0.25).any()
    flat, drawn = batch.images[3 * groups :].std(dim=(1, 2, 3)).split([tried, groups - tried])
    assert flat.mean() < 0.5 * drawn.mean()  # the attempts above are one grey, whatever they suffer
