"""SimBench itself (380 MB) is not installed for the tests: the message is tested, and the conversion on a stand-in."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from data.errors import DataError
from data.simbench import simbench_profiles


@pytest.fixture
def stand_in(monkeypatch):
    """Two buses with loads (bus 7 has two), a generator at bus 7 and one at bus 9, which has no load."""
    net = SimpleNamespace(
        load=pd.DataFrame({"bus": [7, 8, 7]}, index=[0, 1, 2]),
        sgen=pd.DataFrame({"bus": [9, 7]}, index=[4, 5]),
        bus=pd.DataFrame({"name": ["LV1 Bus 7", "LV1 Bus 8", "LV1 Bus 9"]}, index=[7, 8, 9]),
        profiles={"load": pd.DataFrame({"time": ["01.01.2016 00:00", "01.01.2016 00:15"]})},
    )
    power_mw = {
        ("load", "p_mw"): pd.DataFrame([[0.001, 0.002, 0.003], [0.0, 0.004, 0.001]], columns=[0, 1, 2]),
        ("load", "q_mvar"): pd.DataFrame([[0.001, 0.001, 0.0], [0.0, -0.001, 0.0]], columns=[0, 1, 2]),
        ("sgen", "p_mw"): pd.DataFrame([[0.5, 0.0], [0.5, 0.006]], columns=[4, 5]),
    }

    def get_simbench_net(code):
        if code != "1-LV-rural1--0-sw":
            raise ValueError(code)
        return net

    module = ModuleType("simbench")
    module.get_simbench_net = get_simbench_net
    module.get_absolute_values = lambda net, profiles_instead_of_study_cases: power_mw
    monkeypatch.setitem(sys.modules, "simbench", module)


def test_loads_and_generators_are_summed_per_bus(stand_in):
    made = simbench_profiles("1-LV-rural1--0-sw", price_eur_per_kwh=0.25)
    assert made.participants == ("LV1 Bus 7", "LV1 Bus 8")
    assert made.load_wh.tolist() == [[1000, 500], [250, 1000]]
    assert made.load_varh.tolist() == [[250, 250], [0, -250]]
    assert made.pv_wh.tolist() == [[0, 0], [1500, 0]]
    assert made.start == np.datetime64("2016-01-01T00:00")
    assert made.interval_minutes == 15
    assert made.price_ueur_per_kwh.tolist() == [250_000, 250_000]
    assert made.provenance["generators_left_out"] == 1


def test_an_unknown_code_is_named(stand_in):
    with pytest.raises(DataError, match="got 'rural'; correct it"):
        simbench_profiles("rural", price_eur_per_kwh=0.25)


def test_without_the_package_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "simbench", None)
    with pytest.raises(DataError, match=r"pip install 'gridsettle\[simbench\]'"):
        simbench_profiles("1-LV-rural1--0-sw", price_eur_per_kwh=0.25)
