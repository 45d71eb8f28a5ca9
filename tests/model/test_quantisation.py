"""Eight-bit codes: what is rounded how, by arithmetic that can be done by hand."""

import numpy as np
import pytest

from model.quantisation import (
    WEIGHT_LEVELS,
    fit_input_code,
    flattened,
    input_code,
    quantise_weights,
)


def test_an_input_without_smoothing_gets_its_range_in_255_steps() -> None:
    # Both features reach as far, and so do their weights: all smoothing is 1. From -1 to 4 in 255 steps; 0 is step 51.
    code = fit_input_code(np.float32([-1, -1]), np.float32([4, 4]), np.ones((3, 2), dtype=np.float32))
    assert code.smooth.tolist() == [1.0, 1.0]
    assert code.scale == pytest.approx(5 / 255)
    assert code.zero_point == 51


def test_a_feature_that_reaches_far_is_shrunk_towards_the_others() -> None:
    code = fit_input_code(np.float32([0, 0]), np.float32([100, 1]), np.ones((1, 2), dtype=np.float32), smoothing=0.5)
    # 100 ** 0.5 = 10 against 1; the mean of the two is 5.5.
    np.testing.assert_allclose(code.smooth, [10 / 5.5, 1 / 5.5], rtol=1e-6)
    assert code.scale == pytest.approx(55 / 255)
    assert code.zero_point == 0


def test_zero_has_a_code_even_where_it_was_never_seen() -> None:
    code = fit_input_code(np.float32([2]), np.float32([4]), np.ones((1, 1), dtype=np.float32))
    assert (code.scale, code.zero_point) == (pytest.approx(4 / 255), 0)
    code = fit_input_code(np.float32([-4]), np.float32([-2]), np.ones((1, 1), dtype=np.float32))
    assert (code.scale, code.zero_point) == (pytest.approx(4 / 255), 255)


def test_an_input_that_is_always_zero_has_a_code() -> None:
    nothing = np.zeros(2, dtype=np.float32)
    code = fit_input_code(nothing, nothing, np.zeros((1, 2), dtype=np.float32))
    assert np.isfinite(code.smooth).all()
    assert code.scale > 0


def test_the_largest_weight_of_each_output_gets_the_largest_code() -> None:
    weights = np.float32([[1.0, -2.0], [0.5, 0.25]])
    codes, scales = quantise_weights(weights, np.float32([1.0, 2.0]))
    # Smoothed: [1, -4] and [0.5, 0.5]; steps of 4/63 and 0.5/63.
    np.testing.assert_allclose(scales, [4 / 63, 0.5 / 63], rtol=1e-6)
    assert codes.tolist() == [[16, 63], [-63, 63]]  # inputs first


def test_two_products_of_codes_fit_into_16_bits() -> None:
    # What processors without 8-bit dot products add in one step: they would clip a larger sum, and give other scores.
    assert 2 * 255 * WEIGHT_LEVELS < 2**15


def test_codes_come_back_from_a_file_as_they_went_in() -> None:
    code = fit_input_code(np.float32([-1, -3]), np.float32([2, 1]), np.ones((2, 2), dtype=np.float32))
    back = input_code(flattened({"x": code}), "x")
    assert all(np.array_equal(a, b) and a.shape == b.shape for a, b in zip(code, back, strict=True))
