"""The distance of patches: of distributions and not of places, with a gradient that leads there, and drawn by its generator alone."""

import pytest
import torch

from core.methods.patches import SIDES, _by_region, patch_distance, stroke_distance
from core.worlds import portraits as world


@pytest.fixture
def targets():
    """Sixteen pictures of thin dark lines on light paper."""
    pictures = torch.full((16, 3, 32, 32), 0.8)
    for i, picture in enumerate(pictures):
        picture[:, :, i % 4 :: 4] = -0.6
    return pictures


def distance(x, targets, seed=0):
    return patch_distance(x, targets, torch.Generator().manual_seed(seed))


def test_where_a_line_stands_does_not_count_but_that_it_is_there_does(targets):
    moved, blank = targets[:4].roll(2, dims=3), targets[:4].mean(dim=(2, 3), keepdim=True).expand(4, 3, 32, 32)
    assert distance(moved, targets) < 0.1 * distance(blank, targets)
    assert distance(targets[:4].transpose(2, 3), targets) > 3 * distance(moved, targets), "lines that run the other way are others"


@pytest.mark.parametrize(("sizes", "scales"), [(2, (1, 2)), (3, (1, 2, 4)), (5, (1, 2, 4))])  # 4 pixels hold no patch of 7
def test_a_shift_of_all_colours_by_hand(sizes, scales):
    flat = torch.zeros(4, 3, 32, 32)
    generator = torch.Generator().manual_seed(3)
    torch.randperm(1, generator=generator)
    expected = []
    for scale in scales:  # every projection moves by the sum of its filter, times the shift
        for side in SIDES:
            size = 32 // scale - side + 1
            filters = torch.randn(32, 3, side, side, generator=generator)
            expected.append((filters.flatten(1).sum(1) / filters.flatten(1).norm(dim=1)).abs().mean() * 0.25)
            torch.randint(size * size, (4 * size * size,), generator=generator)
    moved = patch_distance(flat + 0.25, torch.zeros(1, 3, 32, 32), torch.Generator().manual_seed(3), sizes)
    assert moved.item() == pytest.approx(torch.stack(expected).mean().item(), rel=1e-4)


def test_regions_are_cells_of_the_picture():
    projected = torch.arange(2 * 5 * 11 * 13, dtype=torch.float32).view(2, 5, 11, 13)
    cells = _by_region(projected, 3)  # 3 × 4 projections each, with a row above and one below left over, and a column
    assert cells.shape == (5, 9, 2 * 12)
    assert torch.equal(cells[:, 5], projected[:, :, 4:7, 8:12].transpose(0, 1).flatten(1))
    assert torch.equal(_by_region(projected, 1)[:, 0], projected.transpose(0, 1).flatten(1))
    assert _by_region(projected, 64).shape == (5, 11 * 13, 2), "no cell is smaller than one projection"


def test_in_regions_it_counts_where_a_thing_stands():
    here, there = torch.zeros(4, 3, 32, 32), torch.zeros(4, 3, 32, 32)
    here[..., 8:13, 8:13] = 0.9
    there[..., 19:24, 19:24] = 0.9

    def between(regions):
        return patch_distance(here, there, torch.Generator().manual_seed(0), 2, regions)

    assert between(1) < 0.2 * between(2)


@pytest.mark.long
def test_its_gradient_leads_to_the_target(targets):
    x = (0.3 * torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))).requires_grad_()
    before = distance(x, targets).item()
    optimizer = torch.optim.Adam([x], lr=0.05)
    for seed in range(80):
        optimizer.zero_grad()
        distance(x, targets, seed).backward()
        optimizer.step()
    assert distance(x, targets, 1000).item() < 0.45 * before


def strokes(x, targets, seed=0):
    return stroke_distance(x, targets, torch.Generator().manual_seed(seed), sizes=1)


def test_strokes_are_told_apart_and_slow_changes_of_colour_do_not_count(targets):
    ramp = torch.linspace(-0.4, 0.4, 32).view(1, 1, 32, 1)
    same, turned, blank = targets[:4].roll(2, dims=3) + ramp, targets[:4].transpose(2, 3), torch.zeros(4, 3, 32, 32)
    assert strokes(same, targets) < 0.1 * strokes(turned, targets) and strokes(same, targets) < 0.1 * strokes(blank, targets)
    assert distance(same, targets) > 0.3 * distance(turned, targets), "patches see the colours"


def test_strokes_are_seen_better_by_their_own_distance():
    """Of drawings of other people, true ones are as far as the truth goes; with their finest lines blurred they are other drawings."""
    one, others = (world.render(world.sample(16, seed), "sketch", 64) for seed in (1, 2))
    blurred = torch.nn.functional.avg_pool2d(one, 3, stride=1, padding=1, count_include_pad=False)

    def ratio(of_them):
        return of_them(blurred, others, torch.Generator().manual_seed(0)) / of_them(one, others, torch.Generator().manual_seed(0))

    assert ratio(stroke_distance) > 2 * ratio(patch_distance)


def test_pictures_of_one_colour_have_a_distance_and_a_gradient_but_no_strokes():
    x, targets = torch.full((2, 3, 16, 16), 0.5, requires_grad=True), torch.zeros(2, 3, 16, 16)
    value = distance(x, targets)
    value.backward()
    assert value > 0 and x.grad.isfinite().all() and x.grad.abs().sum() > 0
    x.grad = None
    of_strokes = strokes(x, targets)
    of_strokes.backward()
    assert of_strokes == 0 and x.grad.isfinite().all()


@pytest.mark.parametrize("of_them", [distance, strokes])
def test_the_same_generator_gives_the_same_number(targets, of_them):
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert of_them(x, targets, 5) == of_them(x, targets, 5) != of_them(x, targets, 6)
