"""Scale and offset: from the user, the file, or the only thing the numbers can mean."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import ReflectanceError
from engine.reflectance import choose_scaling

DN = np.full((2, 10), 800)
REFLECTANCE = np.full((2, 10), 0.08)
NONE = np.zeros((2, 0))


def test_integers_are_dn() -> None:
    scaling = choose_scaling("uint16", [1, 1], [0, 0], None, None, DN)
    assert scaling.apply(np.array([[1000], [2000]], dtype=np.uint16)).ravel() == pytest.approx([0.1, 0.2])


def test_tags_of_the_file_count_band_by_band() -> None:
    scaling = choose_scaling("uint16", [1e-4, 2e-4], [-0.1, 0], None, None, DN)
    assert scaling.apply(np.array([[2000], [2000]])).ravel() == pytest.approx([0.1, 0.4])


def test_user_wins_over_tags() -> None:
    scaling = choose_scaling("uint16", [1e-4, 1e-4], [-0.1, -0.1], None, 0.0, DN)
    assert scaling.apply(np.array([[2000], [2000]])).ravel() == pytest.approx([0.2, 0.2])
    assert scaling.source == "scale from the file's tags, offset set by the user"


def test_what_the_user_does_not_set_comes_from_the_file() -> None:
    scaling = choose_scaling("uint16", [2e-4, 1e-4], [-0.1, -0.05], 1e-4, None, np.full((2, 5), 1500))
    assert scaling.apply(np.array([[1500], [1500]])).ravel() == pytest.approx([0.05, 0.1])
    assert scaling.source == "scale set by the user, offset from the file's tags"
    scaling = choose_scaling("uint16", [2e-4, 2e-4], [0, 0], None, -0.1, np.full((2, 5), 800))
    assert scaling.apply(np.array([[800], [800]])).ravel() == pytest.approx([0.06, 0.06])
    assert choose_scaling("uint16", [2e-4] * 2, [-0.1] * 2, 1e-4, 0.0, DN).source == "set by the user"


def test_offset_alone_keeps_the_scale_of_integers() -> None:
    scaling = choose_scaling("uint16", [1, 1], [0, 0], None, -0.1, np.full((2, 5), 1500))
    assert scaling.apply(np.array([[1500], [1000]])).ravel() == pytest.approx([0.05, 0.0], abs=1e-6)


def test_floats_are_reflectance() -> None:
    assert choose_scaling("float32", [1, 1], [0, 0], None, None, REFLECTANCE).apply(REFLECTANCE)[0, 0] == pytest.approx(
        0.08
    )


def test_floats_that_are_dn_are_ambiguous() -> None:
    with pytest.raises(ReflectanceError, match=r"SCALE is 0\.0001"):
        choose_scaling("float32", [1, 1], [0, 0], None, None, DN.astype(float))


def test_a_scale_applied_twice_is_noticed() -> None:
    with pytest.raises(ReflectanceError, match="cannot be"):
        choose_scaling("float32", [1, 1], [0, 0], 1.0, -1.0, REFLECTANCE)


def test_eight_bits_are_a_picture() -> None:
    with pytest.raises(ReflectanceError, match="8-bit"):
        choose_scaling("uint8", [1, 1], [0, 0], None, None, DN)


def test_no_data_at_all_is_no_ambiguity() -> None:
    assert choose_scaling("float32", [1, 1], [0, 0], None, None, NONE).source == "reflectance as stored"


@pytest.mark.parametrize(("dtype", "fill"), [("int16", -9999), ("uint16", 65535), ("float32", -9999)])
def test_fills_do_not_decide_on_the_scaling(dtype: str, fill: int) -> None:
    real = np.linspace(100, 900, 22).reshape(2, 11) * (1e-4 if dtype == "float32" else 1)
    sample = np.concatenate([real, np.full((2, 90), fill)], axis=1).astype(dtype)
    assert choose_scaling(dtype, [1, 1], [0, 0], None, None, sample).source != ""


def test_digital_numbers_are_refused_though_some_are_as_low_as_reflectance() -> None:
    sample = np.linspace(0, 1500, 2000, dtype=np.float32).reshape(1000, 2).T
    with pytest.raises(ReflectanceError, match="cannot be"):
        choose_scaling("float32", [1, 1], [0, 0], None, None, sample)
