"""Islands, formers and switching on grids small enough to draw."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandapower as pp
import pytest
from physics_helpers import find_unsupplied

from grid_models.errors import GridError
from grid_models.feeder.feeder import make_feeder
from grid_models.feeder.topology import (
    Supply,
    find_islands,
    open_elements,
    with_formers,
)
from grid_models.powerflow.engine import PowerFlow

CABLE = "NAYY 4x150 SE"


def two_branches() -> Any:
    """Feeder with a normally open tie between the ends of its branches, and switches at their heads.

    ::

        grid==0--8--1--/ "left"  --2--"a"--3--"b"--4
                    |                              / "tie" (open)
                    +--/ "right" --5--"c"--6--"d"--7
    """
    net = pp.create_empty_network(name="two branches")
    pp.create_bus(net, 20.0, name="medium voltage")
    for _ in range(7):
        pp.create_bus(net, 0.4)
    pp.create_ext_grid(net, 0)
    pp.create_transformer(net, 0, 1, "0.25 MVA 20/0.4 kV", name="transformer")
    for name, start, end in (
        ("left main", 1, 2),
        ("a", 2, 3),
        ("b", 3, 4),
        ("right main", 1, 5),
        ("c", 5, 6),
        ("d", 6, 7),
    ):
        pp.create_line(net, start, end, 0.05, CABLE, name=name)
    pp.create_switch(net, 1, 0, et="l", name="left")
    pp.create_switch(net, 1, 3, et="l", name="right")
    pp.create_switch(net, 4, 7, et="b", closed=False, name="tie")
    return net


def parts(net: Any) -> list[list[int]]:
    islands = find_islands(net)
    return [islands.bus[islands.part == k].tolist() for k in range(islands.n_parts)]


def test_a_whole_network_is_one_part_fed_by_the_grid() -> None:
    """grid==0--8--1--…: nothing open but the tie, which joins what is joined already."""
    islands = find_islands(two_branches())
    assert parts(two_branches()) == [[0, 1, 2, 3, 4, 5, 6, 7]]
    assert islands.supply.tolist() == [Supply.GRID]


def test_an_open_switch_cuts_a_branch_off_and_leaves_it_dark() -> None:
    """grid==0--8--1   (2--3--4)   1--5--6--7: the left branch has no source."""
    net = open_elements(two_branches(), switches=["left"])
    assert parts(net) == [[0, 1, 5, 6, 7], [2, 3, 4]]
    assert find_islands(net).supply.tolist() == [Supply.GRID, Supply.DARK]


def test_closing_the_tie_feeds_the_branch_from_the_other_side() -> None:
    """grid==0--8--1--5--6--7==4--3--2."""
    net = open_elements(two_branches(), switches=["left"])
    net.switch.loc[net.switch.name == "tie", "closed"] = True
    assert parts(net) == [[0, 1, 2, 3, 4, 5, 6, 7]]


def test_a_network_splits_into_as_many_parts_as_its_open_branches_leave() -> None:
    """(grid==0)   (1--2--3)   (4)   (5--6)   (7): transformer, line b, right main and line d out."""
    net = open_elements(two_branches(), lines=["b", "right main", "d"], trafos=["transformer"])
    assert parts(net) == [[0], [1, 2, 3], [4], [5, 6], [7]]
    assert find_islands(net).supply.tolist() == [Supply.GRID] + [Supply.DARK] * 4


def test_losing_the_grid_leaves_one_dark_part() -> None:
    net = open_elements(two_branches(), grid=True)
    assert find_islands(net).supply.tolist() == [Supply.DARK]


def test_a_bus_out_of_service_belongs_to_no_part() -> None:
    """grid==0--8--1--2   (3 out of service)   4."""
    net = two_branches()
    net.bus.loc[3, "in_service"] = False
    islands = find_islands(net)
    assert islands.part[3] == -1
    assert islands.find_part([2, 4]).tolist() == [0, 1]
    assert islands.find_supply([2, 3, 4]).tolist() == [Supply.GRID, Supply.DARK, Supply.DARK]


def test_a_line_open_at_one_end_connects_nothing() -> None:
    net = two_branches()
    pp.create_switch(net, 3, 1, et="l", closed=False, name="middle")
    assert parts(net) == [[0, 1, 2, 5, 6, 7], [3, 4]]


def test_a_direct_current_link_joins_no_islands() -> None:
    """(grid==0--8--1 …)  4 ==dc== 8: a link carries power, not a frequency."""
    net = two_branches()
    bus = pp.create_bus(net, 0.4)
    pp.create_dcline(net, 4, bus, p_mw=0.0, loss_percent=0.0, loss_mw=0.0, vm_from_pu=1.0, vm_to_pu=1.0)
    assert find_islands(net).n_parts == 2


def test_switching_returns_a_new_net_and_leaves_the_old_one_alone() -> None:
    net = two_branches()
    open_elements(net, switches=["left"], lines=["a"], trafos=["transformer"], grid=True)
    with_formers(net, [4])
    assert net.switch.closed.tolist() == [True, True, False]
    assert net.line.in_service.all()
    assert net.trafo.in_service.all()
    assert net.ext_grid.in_service.all()
    assert len(net.gen) == 0


def test_elements_are_named_or_numbered_and_unknown_ones_are_refused() -> None:
    assert not open_elements(two_branches(), switches=[0]).switch.closed[0]
    with pytest.raises(GridError, match=r"switch 'rigth': expected .* did you mean 'right'\?"):
        open_elements(two_branches(), switches=["rigth"])
    with pytest.raises(GridError, match="line '99': expected an index or name"):
        open_elements(two_branches(), lines=[99])


def test_bus_numbers_need_not_be_sorted_or_dense() -> None:
    """7 -- 3 -- 12 in a table that lists them as 12, 3, 7."""
    net = pp.create_empty_network()
    for index in (12, 3, 7):
        pp.create_bus(net, 0.4, index=index)
    pp.create_line(net, 7, 3, 0.1, CABLE)
    islands = find_islands(net)
    assert islands.find_part([7, 3, 12]).tolist() == [1, 1, 0]
    with pytest.raises(GridError, match="expected a bus of the net, got 5"):
        islands.find_part([3, 5])


def test_the_former_carries_what_the_island_lacks_and_its_losses() -> None:
    """(2*--3--4): former at 2 feeds loads at 3 and 4 in pandapower's own solution."""
    net = open_elements(two_branches(), switches=["left"])
    pp.create_load(net, 3, p_mw=0.004)
    pp.create_load(net, 4, p_mw=0.003)
    pp.create_sgen(net, 4, p_mw=0.002)
    formed = with_formers(net, [2])
    pp.runpp(formed, calculate_voltage_angles=True, tolerance_mva=1e-11)
    losses = formed.res_line.pl_mw.loc[[1, 2]].sum()
    assert formed.res_gen.p_mw[0] == pytest.approx(0.005 + losses, abs=1e-9)
    assert losses > 0


def test_dark_parts_have_no_voltage_and_formed_ones_have_in_the_fast_engine() -> None:
    """grid==0--8--1--5--6--7   (2*--3)   (4): houses at 3, 4 and 7."""
    feeder = make_feeder("two branches", two_branches(), ["x", "y", "z"], [3, 4, 7])
    net = open_elements(feeder.net, switches=["left"], lines=["b"])
    engine = PowerFlow(replace(feeder, net=with_formers(net, [2])))
    injections = np.array([[-3.0, -2.0, -4.0]])
    flow = engine.solve(injections)
    assert engine.refusal is None
    assert flow.converged.all()
    assert find_unsupplied(engine).tolist() == [False, True, False]
    assert np.isnan(flow.vm_pu[0]).tolist() == [False] * 4 + [True] + [False] * 3
    assert engine.verify(injections).max_vm_error_pu < 1e-9


def test_each_part_without_grid_is_held_by_its_own_former() -> None:
    """grid==0--8--1   (2*--3--4)   (5)   (6--7*): * holds the voltage, 5 is dark."""
    net = open_elements(two_branches(), switches=["left", "right"], lines=["c"])
    held = find_islands(with_formers(net, [2, 7]))
    assert held.supply.tolist() == [Supply.GRID, Supply.ISLAND, Supply.DARK, Supply.ISLAND]
