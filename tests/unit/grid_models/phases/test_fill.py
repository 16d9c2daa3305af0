"""Zero sequence that a net lacks: filled by named ratios, and nothing that the net says itself is touched."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phase_nets import add_one_phase_loads, add_zero_sequence

from cosim import Scenario
from cosim.case.inputs import read_feeder
from cosim.nets.judges import Judge, compare
from cosim.nets.models import Model
from cosim.nets.solve import solve_network
from grid_models.errors import GridError
from grid_models.feeder.feeder import Feeder
from grid_models.feeder.generated import make_radial_feeder
from grid_models.phases.fill import FOUR_CORE, Ratios, fill_zero_sequence, strip_clocks, with_zero_sequence
from grid_models.phases.three_phase import make_three_phase
from grid_models.phases.zero_sequence import LINE_COLUMNS, find_line_zero, find_trafo_zero

pytestmark = pytest.mark.slow  # each makes a run or a circuit

NAMES = ("ann", "bob", "cat", "dan")
POSITIVE = {"r0_ohm_per_km": "r_ohm_per_km", "x0_ohm_per_km": "x_ohm_per_km", "c0_nf_per_km": "c_nf_per_km"}
POSITIVES = st.floats(0.1, 20.0)
OWN = make_radial_feeder(NAMES, n_branches=2, rng=np.random.default_rng(4))


def read(**network: Any) -> Feeder:
    return read_feeder(Scenario("test", network=network), NAMES, set())


@pytest.mark.slow
@given(ratios=st.builds(Ratios, POSITIVES, POSITIVES, POSITIVES), data=st.data())
def test_what_lacks_is_filled_by_the_ratios_and_what_is_there_stays(ratios: Ratios, data: st.DataObject) -> None:
    net = add_zero_sequence(deepcopy(OWN.net), "Yzn")
    for column in LINE_COLUMNS:
        lacking = data.draw(st.lists(st.booleans(), min_size=len(net.line), max_size=len(net.line)))
        net.line.loc[np.array(lacking), column] = np.nan
    before = deepcopy(net)
    filled = fill_zero_sequence(net, ratios)
    pd.testing.assert_frame_equal(net.line, before.line)
    for column, ratio in zip(LINE_COLUMNS, ratios, strict=True):
        expected = before.line[column].fillna(ratio * before.line[POSITIVE[column]])
        assert filled.net.line[column].tolist() == expected.tolist()
    pd.testing.assert_frame_equal(filled.net.trafo, before.trafo)
    pd.testing.assert_frame_equal(filled.net.ext_grid, before.ext_grid)
    lacked = int(before.line[list(LINE_COLUMNS)].isna().any(axis=1).sum())
    said = [note for note in filled.notes if note.startswith(f"zero sequence of {lacked} lines filled in: r0 = ")]
    assert len(filled.notes) == len(said) == (lacked > 0)


def test_a_one_phase_load_on_a_four_core_cable_sees_twice_its_impedance() -> None:
    net = fill_zero_sequence(OWN.net, FOUR_CORE).net
    z0 = 1.0 / find_line_zero(net)[0]
    z1 = (net.line.r_ohm_per_km + 1j * net.line.x_ohm_per_km).to_numpy() * net.line.length_km.to_numpy()
    np.testing.assert_allclose((z0 + 2.0 * z1) / 3.0, 2.0 * z1, rtol=1e-12)


def test_a_dyn_transformer_has_nineteen_twentieths_of_its_impedance() -> None:
    net = deepcopy(OWN.net)
    net.trafo["vector_group"] = "Dyn5"
    net = fill_zero_sequence(net, FOUR_CORE).net
    row = net.trafo.iloc[0]
    z1_ohm = row.vk_percent / 100.0 * row.vn_lv_kv**2 / row.sn_mva
    assert abs(1.0 / find_trafo_zero(net)[0, 1, 1]) == pytest.approx(0.95 * z1_ohm, rel=5e-3)


@pytest.mark.parametrize(
    ("group", "shift", "left"),
    [("Dyn5", 150.0, "Dyn"), ("Yzn5", 150, "Yzn"), ("Dyn11", -30.0, "Dyn"), ("YNyn0", 0.0, "YNyn"), ("Yyn12", 0, "Yyn"),
     ("Dyn5", 30.0, "Dyn5"), ("Dyn", 150.0, "Dyn"), (None, 150.0, None)],
)  # fmt: skip
def test_a_clock_is_dropped_where_the_phase_shift_says_the_same(group: Any, shift: float, left: Any) -> None:
    net = deepcopy(OWN.net)
    net.trafo["vector_group"], net.trafo["shift_degree"] = group, shift
    strip_clocks(net)
    assert net.trafo.vector_group.tolist() == [left]


def test_a_generated_feeder_has_its_zero_sequence_in_three_phases_only() -> None:
    balanced, phases = read(), read(model="three_phase")
    assert not set(LINE_COLUMNS) & set(balanced.net.line)
    assert phases.notes[: len(balanced.notes)] == balanced.notes
    assert phases.notes[len(balanced.notes)] == "transformer taken as Dyn; its standard type has Yzn5"
    assert (
        phases.notes[len(balanced.notes) + 1] == "zero sequence of 8 lines filled in: r0 = 4 r1, x0 = 4 x1, c0 = 1 c1"
    )
    assert phases.given is not None
    assert phases.given.attached is phases.net
    assert phases.as_given().net is phases.given.net
    for net in (phases.net, phases.given.net):
        assert net.line.r0_ohm_per_km.tolist() == (4.0 * net.line.r_ohm_per_km).tolist()
    own = read(model="three_phase", zero_sequence={"r0_over_r1": 3.0, "x0_over_x1": 2.0, "c0_over_c1": 0.5})
    assert own.net.line.x0_ohm_per_km.tolist() == (2.0 * own.net.line.x_ohm_per_km).tolist()
    assert len({feeder.digest() for feeder in (balanced, phases, own)}) == 3


def test_filling_changes_no_balanced_result() -> None:
    filled = with_zero_sequence(OWN, FOUR_CORE)
    for table in ("line", "trafo", "ext_grid"):
        kept = [column for column in OWN.net[table] if column != "vector_group"]
        pd.testing.assert_frame_equal(filled.net[table][kept], OWN.net[table][kept])


RATIOS = {"r0_over_r1": 4.0, "x0_over_x1": 4.0, "c0_over_c1": 1.0}


@pytest.mark.parametrize("name", ["cigre_lv", "kerber_landnetz_kabel_1", "voltage_control_rural_1"])
def test_a_named_net_is_filled_where_ratios_are_given_and_else_refused_by_name(name: str) -> None:
    given = {"model": "three_phase", "source": "named", "name": name}
    assert make_three_phase(read(**given, zero_sequence=RATIOS).net).circuit.branches
    with pytest.raises(GridError, match=r"ext_grid 0: expected .* network\.zero_sequence = \{r0_over_r1 = 4\.0, x0_"):
        make_three_phase(read(**given).net)


@pytest.mark.parametrize(
    ("table", "column"), [("line", "x0_ohm_per_km"), ("trafo", "vk0_percent"), ("trafo", "vector_group")]
)
def test_each_error_about_missing_values_names_the_key_that_fills_them(table: str, column: str) -> None:
    net = deepcopy(read(model="three_phase").net)
    net[table].drop(columns=column, inplace=True)
    with pytest.raises(
        GridError, match=rf"network, {table} 0.*expected .*{column}.* for a run, network\.zero_sequence = "
    ):
        make_three_phase(net)


def test_a_net_with_a_zero_sequence_of_its_own_keeps_it() -> None:
    given = {"model": "three_phase", "source": "named", "name": "ieee_european_lv_asymmetric"}
    own, asked = read(**given), read(**given, zero_sequence=RATIOS)
    assert own.digest() == asked.digest()
    assert own.notes == asked.notes


@pytest.mark.parametrize("trafo", ["0.25 MVA 20/0.4 kV", "0.4 MVA 20/0.4 kV"])  # Yzn5 and Dyn5 by their types
def test_runpp_3ph_agrees_on_a_generated_feeder(trafo: str) -> None:
    net = deepcopy(read(model="three_phase", trafo_std_type=trafo).net)
    add_one_phase_loads(net, net.bus.index[2:], 5, kw=6.0)
    found = solve_network(net, Model.THREE_PHASE)
    assert found.converged
    assert max(found.unbalance_percent.values()) > 0.1
    assert compare(found, net, Judge.RUNPP_3PH).voltage_pu < 1e-7


def test_a_run_in_phases_keeps_the_phases_of_elements_and_does_not_call_them_a_sum() -> None:
    given = {"source": "named", "name": "ieee_european_lv_asymmetric", "keep_elements": True}
    for model, n in (("balanced", 1), ("three_phase", 0)):
        assert sum("sum of their phases" in note for note in read(**given, model=model).notes) == n
