"""What draws place: the same for the same seed, whatever is drawn beside; sizes and phases as they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cosim.errors import ScenarioError
from cosim.scenario.houses_of_today import HeatPumpSection
from cosim.studies.hosting.draws import (
    PV_MEDIAN_KW,
    WALL_BOXES_KW,
    Plan,
    draw_devices,
    make_sizes,
    read_sizes,
    read_technologies,
)

SIZES = make_sizes(HeatPumpSection(power_kw=4.0, heat_spread=0.25))


def plan(*technologies: int, with_phases: bool = True) -> Plan:
    return Plan(technologies, np.array([0, 2, 3]), 2, SIZES, with_phases)


def test_a_draw_is_the_same_whatever_is_drawn_beside_it() -> None:
    every = draw_devices(plan(0, 1, 2), 7, range(5))
    for one, column in zip(draw_devices(plan(0, 1, 2), 7, range(3, 4)), every, strict=True):
        assert np.array_equal(one[0], column[3])
    other = draw_devices(plan(0, 1, 2), 8, range(5))
    pilots = draw_devices(plan(0, 1, 2), 7, range(5), stream=1)
    assert not np.array_equal(every.kw, other.kw)
    assert not np.array_equal(every.kw, pilots.kw)


def test_each_site_gets_its_next_device_when_all_have_as_many() -> None:
    found = draw_devices(plan(0), 1, range(50))
    assert {tuple(sorted(order)) for order in found.house[:, :3].tolist()} == {(0, 2, 3)}
    assert {tuple(sorted(order)) for order in found.house[:, 3:].tolist()} == {(0, 2, 3)}
    assert len({tuple(order) for order in found.house.tolist()}) > 10


def test_sizes_are_those_that_their_sources_say() -> None:
    uniform = (np.arange(10_000) + 0.5) / 10_000
    roofs = SIZES[0](uniform)
    assert np.median(roofs) == pytest.approx(PV_MEDIAN_KW, rel=1e-3)
    assert (roofs <= 10.0).mean() == pytest.approx(0.82, abs=0.001)
    boxes, counts = np.unique(SIZES[1](uniform), return_counts=True)
    assert boxes.tolist() == list(WALL_BOXES_KW)
    assert counts / 10_000 == pytest.approx(np.full(3, 1 / 3), abs=1e-3)
    assert (SIZES[2](uniform).min(), SIZES[2](uniform).max()) == pytest.approx((3.0, 5.0), abs=1e-3)


def test_small_devices_are_on_one_phase_and_all_on_three_where_nobody_asks() -> None:
    found = draw_devices(plan(0, 1, 2), 3, range(200))
    largest = np.where(found.technology == 1, 7.4, 4.6)
    assert ((found.code == 0) == (found.kw > largest)).all()
    counts = np.bincount(found.code[found.code > 0].ravel())[1:]
    assert counts.min() > 0.28 * counts.sum()
    assert not draw_devices(plan(0, 1, 2, with_phases=False), 3, range(9)).code.any()


def test_own_sizes_come_by_their_weights(tmp_path: Path) -> None:
    table = tmp_path / "sizes.csv"
    table.write_text("technology,kw,weight\npv,5,3\npv,20,1\nev,22,1\n")
    own = read_sizes(table)
    roofs = make_sizes(HeatPumpSection(), own)[0](np.array([0.0, 0.74, 0.76, 0.999999]))
    assert roofs.tolist() == [5.0, 5.0, 20.0, 20.0]
    assert sorted(own) == [0, 1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("technology,kw\npv,5\n", "none named weight"),
        ("technology,kw,weight\nwind,5,1\n", "got 'wind'"),
        ("technology,kw,weight\npv,-5,1\n", "got -5"),
        ("technology,kw,weight\npv,many,1\n", "column 'kw': expected numbers"),
        ("technology,kw,weight\npv,5,0\n", "weights > 0"),
        ("technology,kw,weight\n" + "".join(f"ev,{k},1\n" for k in range(1, 11)), "at most 8 ratings"),
    ],
)
def test_sizes_that_cannot_be_used_are_refused_by_name(tmp_path: Path, text: str, words: str) -> None:
    table = tmp_path / "sizes.csv"
    table.write_text(text)
    with pytest.raises(ScenarioError, match=words):
        read_sizes(table)


def test_an_unknown_technology_is_refused_by_name() -> None:
    with pytest.raises(ScenarioError, match="got 'wind'"):
        read_technologies("pv,wind")
