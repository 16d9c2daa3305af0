"""SimBench on a stand-in: sums per bus, signs, what is refused; the package itself is asked in tests/agreement."""

import sys
from types import ModuleType

import numpy as np
import pandapower as pp
import pandas as pd
import pytest

from data.errors import DataError
from data.simbench import read_simbench, simbench_profiles

CODE = "1-LV-rural1--0-sw"


@pytest.fixture
def stand_in(monkeypatch):
    """Bus 0 has two loads and a generator, bus 1 a load, bus 2 a generator alone, bus 3 a storage alone."""
    net = pp.create_empty_network()
    buses = [pp.create_bus(net, 0.4, name=f"LV1 Bus {7 + k}") for k in range(4)]
    for bus in (0, 1, 0):
        pp.create_load(net, buses[bus], 0.001)
    for bus in (2, 0):
        pp.create_sgen(net, buses[bus], 0.001)
    pp.create_storage(net, buses[3], 0.0, 1.0)
    net["profiles"] = {"load": pd.DataFrame({"time": ["01.01.2016 00:00", "01.01.2016 00:15"]})}
    power_mw = {
        ("load", "p_mw"): pd.DataFrame([[0.001, 0.002, 0.003], [0.0, 0.004, 0.001]]),
        ("load", "q_mvar"): pd.DataFrame([[0.001, 0.001, 0.0], [0.0, -0.001, 0.0]]),
        ("sgen", "p_mw"): pd.DataFrame([[0.5, 0.0], [0.5, 0.006]]),
        ("storage", "p_mw"): pd.DataFrame([[0.002], [-0.004]]),
    }

    def get_simbench_net(code):
        if code != CODE:
            raise ValueError(code)
        return net

    module = ModuleType("simbench")
    module.get_simbench_net = get_simbench_net
    module.get_absolute_values = lambda net, profiles_instead_of_study_cases: power_mw
    monkeypatch.setitem(sys.modules, "simbench", module)
    return net


def test_loads_generators_and_storages_are_summed_per_bus(stand_in):
    found = read_simbench(CODE, price_eur_per_kwh=0.25)
    made = found.profiles
    assert found.buses == (0, 1, 2, 3)
    assert made.participants == ("LV1 Bus 7", "LV1 Bus 8", "LV1 Bus 9", "LV1 Bus 10")
    assert made.load_wh.tolist() == [[1000, 500, 0, 500], [250, 1000, 0, 0]]
    assert made.load_varh.tolist() == [[250, 250, 0, 0], [0, -250, 0, 0]]
    assert made.pv_wh.tolist() == [[0, 0, 125_000, 0], [1500, 0, 125_000, 1000]]
    assert made.start == np.datetime64("2016-01-01T00:00")
    assert made.interval_minutes == 15
    assert made.price_ueur_per_kwh.tolist() == [250_000, 250_000]
    assert made.digest() == simbench_profiles(CODE, price_eur_per_kwh=0.25).digest()


def test_elements_out_of_service_do_not_count_and_scaled_ones_as_scaled(stand_in):
    stand_in.sgen.loc[0, "in_service"] = False
    stand_in.load.loc[1, "scaling"] = 0.5
    made = read_simbench(CODE, price_eur_per_kwh=0.25).profiles
    assert made.participants == ("LV1 Bus 7", "LV1 Bus 8", "LV1 Bus 10")
    assert made.load_wh[:, 1].tolist() == [250, 500]


def test_what_profiles_cannot_stand_for_is_refused(stand_in):
    stand_in.sgen.loc[1, "q_mvar"] = 0.1
    with pytest.raises(DataError, match="got sgen 1 with some"):
        read_simbench(CODE, price_eur_per_kwh=0.25)
    pp.create_gen(stand_in, 0, 0.1)
    with pytest.raises(DataError, match="got gen 0; choose a low-voltage grid"):
        read_simbench(CODE, price_eur_per_kwh=0.25)


def test_an_unknown_code_is_named(stand_in):
    with pytest.raises(DataError, match="got 'rural'; correct it"):
        simbench_profiles("rural", price_eur_per_kwh=0.25)


def test_without_the_package_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "simbench", None)
    with pytest.raises(DataError, match=r"pip install 'gridsettle\[simbench\]'"):
        simbench_profiles("1-LV-rural1--0-sw", price_eur_per_kwh=0.25)
