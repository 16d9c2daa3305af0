"""MATPOWER cases: solved as MATPOWER's own equations say, and never in part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import root

from cosim.nets.importing.matpower import Case, import_matpower, parse_case
from cosim.nets.judges import Judge, compare
from cosim.nets.solve import solve_balanced
from grid_models.errors import GridError

CASE = """function mpc = case4
%CASE4  four buses, a transformer with tap and shift, a plant; 100% made for this test
mpc.version = '2';
mpc.baseMVA = 100;  % MVA
mpc.bus = [
	1	3	0	0	0	0	1	1.02	0	110	1	1.1	0.9;
	2	1	40	15	0	5	1	1	0	110	1	1.1	0.9;
	7	2	20	5	1	0	1	1	0	110	1	1.1	0.9;
	9	1	10, 3, 0, 0, 1	1	0	20	1	1.1	0.9
];
mpc.gen = [
	1	0	0	300	-300	1.02	100	1	250	10;
	7	30	0	Inf	-Inf	1.01	100	1	60	0;
];
mpc.branch = [
	1	2	0.01	0.08	0.02	150	0	0	0	0	1	-360	360;
	2	7	0.02	0.1	0.03	0	0	0	0	0	1	-360	360;
	1	7	0.015	0.09	0.025	150	0	0	0	0	1	-360	360;
	2	9	0.005	0.12	0.04	40	0	0	0.98	30	1	-360	360;
];
mpc.gencost = [2 0 0 2 1 0; 2 0 0 2 1 0];
mpc.bus_name = {'north; 100%'; 'south'; 'east'; 'west'};
"""


def solve_naively(case: Case) -> np.ndarray:
    """Complex voltages by the equations of MATPOWER's manual (chapter 3), with a general solver."""
    bus, gen, branch = case.matrix["bus"], case.matrix["gen"], case.matrix["branch"]
    at = {number: k for k, number in enumerate(bus[:, 0])}
    y = np.diag((bus[:, 4] + 1j * bus[:, 5]) / case.base_mva)
    for f, t, r, x, b, *_, ratio, shift, status, _, _ in branch:
        if status:
            k, m = at[f], at[t]
            series, tap = 1.0 / (r + 1j * x), (ratio or 1.0) * np.exp(1j * np.radians(shift))
            y[k, k] += (series + 0.5j * b) / abs(tap) ** 2
            y[m, m] += series + 0.5j * b
            y[k, m] -= series / np.conj(tap)
            y[m, k] -= series / tap
    s = -(bus[:, 2] + 1j * bus[:, 3]) / case.base_mva
    vm, kind = np.ones(len(bus)), bus[:, 1]
    for number, p, q, _, _, v, *_ in gen:
        s[at[number]] += (p + 1j * q) / case.base_mva
        vm[at[number]] = v
    free, pq = np.flatnonzero(kind != 3), np.flatnonzero(kind == 1)

    def voltages(x: np.ndarray) -> np.ndarray:
        angle, size = np.radians(bus[:, 8]), vm.copy()
        angle[free], size[pq] = x[: free.size], x[free.size :]
        return size * np.exp(1j * angle)

    def miss(x: np.ndarray) -> np.ndarray:
        v = voltages(x)
        wrong = v * np.conj(y @ v) - s
        return np.concatenate([wrong.real[free], wrong.imag[pq]])

    found = root(miss, np.concatenate([np.zeros(free.size), np.ones(pq.size)]), tol=1e-13)
    assert np.abs(found.fun).max() < 1e-10
    return voltages(found.x)


@pytest.mark.slow
def test_a_case_has_the_solution_of_matpowers_own_equations(tmp_path: Path) -> None:
    path = tmp_path / "case4.m"
    path.write_text(CASE, encoding="utf-8")
    found = import_matpower(path)
    solved = solve_balanced(found.net)
    ours = np.array([solved.v[str(bus), "a"] / solved.base_v[str(bus), "a"] for bus in found.net.bus.index])
    assert np.abs(ours - solve_naively(parse_case(CASE, "case4"))).max() < 1e-9
    assert compare(solved, found.net, Judge.RUNPP).voltage_pu < 1e-9
    assert found.net.bus.name.tolist() == ["bus 1", "bus 2", "bus 7", "bus 9"]
    assert found.elements == {"bus": 4, "gen": 2, "branch": 4}
    assert [entry.element for entry in found.left_out] == ["mpc.gencost", "mpc.bus_name"]
    assert any("1 branches have no rating" in note for note in found.notes)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", "Vbase = mpc.bus(1, 10) * 1e3;", f"line {CASE.count(chr(10)) + 1}: expected an assignment of numbers"),
        ("", "mpc.branch(:, 3) = mpc.branch(:, 3) / 1.6;", "since nothing of a file is run"),
        ("", "system('rm -rf /');", "since nothing of a file is run"),
        ("", "mpc.dcline = [1 2 1 10 0 0 0 1 1 0 0 0 0 0 0 0 0];", "got mpc.dcline"),
        ("mpc.version = '2'", "mpc.version = '1'", "expected a case of version 2"),
        ("mpc.baseMVA = 100", "mpc.baseMVA = 10 * 10", "expected a number, got '*'"),
        ("0.08	0.02", "0.08", "expected 12 numbers in every row, got 13"),
        ("	7	2	20", "	9	2	20", "expected different whole numbers of buses"),
        ("	1	7	0.015", "	1	8	0.015", "mpc.branch: expected numbers of buses in mpc.bus, got 8"),
        ("0.01	0.08", "NaN	0.08", "mpc.branch: expected finite numbers"),
        ("mpc.gen = [", "mpc.gen = [];\nmpc.areas = [", "mpc.gen: expected rows of at least 10 numbers"),
        ("mpc.gencost", "mpc.bus", "expected mpc.bus once, got it twice"),
    ],
)
def test_what_a_case_computes_or_lacks_is_refused(old: str, new: str, said: str) -> None:
    text = CASE.replace(old, new, 1) if old else CASE + new
    with pytest.raises(GridError) as caught:
        parse_case(text, "case4")
    assert said in str(caught.value)
