import pytest

from ui.numbers import number


@pytest.mark.parametrize(
    ("value", "form", "shown"),
    [
        (0.5, ".2f", "0.50"),
        (-0.053, ".2f", "−0.05"),
        (-0.001, ".2f", "0.00"),
        (3.25, "+.1f", "+3.2"),
        (-0.01, "+.1f", "+0.0"),
        (-1.5, "+g", "−1.5"),
    ],
)
def test_a_number_has_a_true_minus_and_no_signed_zero(value, form, shown):
    assert number(value, form) == shown
