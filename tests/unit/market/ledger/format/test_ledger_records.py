"""Records: sizes, quantised floats, ranges; every byte of a record means something."""

from __future__ import annotations

import numpy as np
import pytest

from market.errors import LedgerError
from market.exchanges import EXCHANGE
from market.ledger.format.ranges import LIMITS, find_out_of_range
from market.ledger.format.records import (
    LAYOUTS,
    NONE,
    SIZE,
    make_parameter_records,
    number_records,
    quantise,
    read_integer_parameter,
    read_next_interval,
    read_parameters,
    view_as_bytes,
)


def smallest(kind: int) -> np.ndarray:
    """A record of a kind whose fields are as small as they may be."""
    row = np.zeros(1, LAYOUTS[kind])
    for name, (lowest, _) in LIMITS[kind].items():
        row[name] = lowest
    row["kind"] = kind
    return row


@pytest.mark.parametrize("kind", sorted(LIMITS))
def test_every_limit_holds_to_the_unit(kind: int) -> None:
    assert LAYOUTS[kind].itemsize == SIZE
    assert find_out_of_range(view_as_bytes(smallest(kind))) is None
    for name, (lowest, highest) in LIMITS[kind].items():
        info = np.iinfo(LAYOUTS[kind][name])
        for value, fits in ((lowest, True), (highest, True), (lowest - 1, False), (highest + 1, False)):
            if info.min <= value <= info.max:
                row = smallest(kind)
                row[name] = value
                found = find_out_of_range(view_as_bytes(row))
                assert (found is None) == fits, (name, value, found)


@pytest.mark.parametrize("kind", [kind for kind in sorted(LIMITS) if "reserved" in (LAYOUTS[kind].names or ())])
def test_reserved_bytes_are_zero(kind: int) -> None:
    assert LAYOUTS[kind].fields is not None
    start, size = LAYOUTS[kind].fields["reserved"][1], LAYOUTS[kind]["reserved"].itemsize
    for at in (start, start + size - 1):
        record = view_as_bytes(smallest(kind)).copy()
        record[0, at] = 1
        found = find_out_of_range(record)
        assert found is not None
        assert "reserved" in found[1]


def test_the_first_record_out_of_range_is_named() -> None:
    rows = np.concatenate([view_as_bytes(smallest(1))] * 5)
    rows[3, 0] = 200
    rows[4, 1] = 99
    assert find_out_of_range(rows) == (3, "a record of unknown kind 200")
    assert find_out_of_range(rows[:0]) is None


def test_floats_become_whole_steps_and_nan_becomes_none() -> None:
    found = quantise(np.array([1.0000004, 1.0000006, 0.9999996, np.nan, -0.2]), 1e-6)
    assert found.tolist() == [1_000_000, 1_000_001, 1_000_000, NONE, -200_000]


def test_parameters_come_back() -> None:
    rows = view_as_bytes(make_parameter_records({"seed": -5, "name": "ü", "hash": bytes(range(40))}, 3))
    found = read_parameters(rows)
    assert read_integer_parameter(found, "seed") == -5
    assert read_integer_parameter(found, "missing") == 0
    assert found["name"].rstrip(b"\0").decode() == "ü"
    assert found["hash"] == bytes(range(40))
    assert rows[:, 8].tolist() == [3, 4, 5]


@pytest.mark.parametrize("parameters", [{"x" * 21: 1}, {"x": "y" * 41}, {"x": bytes(41)}])
def test_parameters_that_do_not_fit_are_refused(parameters: dict[str, int | str | bytes]) -> None:
    with pytest.raises(LedgerError, match="at most 20"):
        make_parameter_records(parameters, 0)


def test_placing_sets_interval_and_number_and_nothing_else() -> None:
    rows = view_as_bytes(np.ones(3, EXCHANGE))
    moved = number_records(rows, 70_000, 5)
    back = moved.view(EXCHANGE).reshape(-1)
    assert back["interval"].tolist() == [70_000] * 3
    assert back["seq"].tolist() == [5, 6, 7]
    assert (moved[:, 12:] == rows[:, 12:]).all()
    assert (moved[:, :4] == rows[:, :4]).all()


def test_a_block_with_a_verdict_moves_the_interval_on() -> None:
    verdict, house = view_as_bytes(smallest(17)), view_as_bytes(smallest(64))
    assert read_next_interval(number_records(verdict, 7)) == 8
    assert read_next_interval(number_records(house, 7)) == 7
