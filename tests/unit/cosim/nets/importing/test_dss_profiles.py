"""Load shapes as energies, beside OpenDSS stepping through the day itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dss_circuits import ONE_PHASE, write_circuit

from cosim.nets.importing.opendss import import_opendss

SHAPES = """new loadshape.day npts=24 interval=1 mult=(file=Day.CSV, column=2, header=yes)
new loadshape.kw npts=48 interval=1 useactual=yes mult=(file=kw.csv)
edit load.h1 daily=day
edit load.h2 daily=kw
edit load.h3 daily=day status=fixed
edit generator.pv daily=day
edit load.h4 duty=day
"""


@pytest.mark.slow
def test_every_interval_has_the_energy_of_opendss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dss = pytest.importorskip("opendssdirect")
    rng = np.random.default_rng(4)
    day, kw = rng.uniform(0.1, 1.0, 24), rng.uniform(0.5, 3.0, 48)
    lines = ["hour,multiplier", *(f"{k},{value!r}" for k, value in enumerate(day.tolist()))]
    (tmp_path / "Day.CSV").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "kw.csv").write_text("\n".join(map(repr, kw.tolist())), encoding="utf-8")
    path = write_circuit(tmp_path, ONE_PHASE.replace("set voltagebases", f"{SHAPES}set voltagebases"))
    imported = import_opendss(path)
    profiles = imported.profiles
    assert profiles is not None
    assert (profiles.interval_minutes, profiles.n_intervals) == (60, 48)
    assert any(left.element == "series of load.h4" for left in imported.left_out)
    assert any(left.element == "series of load.h3" for left in imported.left_out)
    monkeypatch.chdir(tmp_path)
    dss.Text.Command("clear")
    dss.Text.Command(f'compile "{path}"')
    dss.Text.Command("set mode=daily stepsize=60m number=1 tolerance=1e-10")
    drawn = []
    for _ in range(48):
        dss.Text.Command("solve")
        row = []
        for name in profiles.participants:
            dss.Circuit.SetActiveElement(name)
            row.append(sum(dss.CktElement.Powers()[::2]))
        drawn.append(row)
    expected = np.cumsum(np.array(drawn) * 1000.0, axis=0)
    found = np.cumsum(profiles.load_wh - profiles.pv_wh, axis=0)
    assert np.abs(expected - found).max() <= 0.51
