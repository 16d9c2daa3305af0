"""Cars that charge more slowly at low voltage: a market, a grid of mosaik-pandapower-2, a controller, and a CSV file.

demand.csv --kW--> Controller --P_load[MW]--> Trader of gridsettle --P[MW]--> Bus of pandapower
^                                                           |
+----------------- Vm[pu], one step later ------------------+
"""

import sys
from pathlib import Path

import mosaik
import mosaik_api_v3
import pandapower as pp

HOURS, CARS = 24, 6
LOW_PU, LOWEST_PU = 0.97, 0.92  # charging is reduced below the first, and stands still at the second


class Controller(mosaik_api_v3.Simulator):
    """Reduces the power of a charging point by the voltage at its bus."""

    def __init__(self):
        attrs = ["demand_kw", "Vm[pu]", "P_load[MW]"]
        model = {"public": True, "params": ["household_mw", "controlled"], "attrs": attrs}
        super().__init__({"api_version": "3.0", "type": "time-based", "models": {"Charger": model}})
        self.power_mw, self.household_mw, self.controlled = {}, {}, True

    def init(self, sid, time_resolution=1.0):
        return self.meta

    def create(self, num, model, household_mw, controlled):
        self.controlled = controlled
        made = [f"Charger-{len(self.household_mw) + k}" for k in range(num)]
        self.household_mw |= dict.fromkeys(made, household_mw)
        return [{"eid": eid, "type": model} for eid in made]

    def step(self, time, inputs, max_advance):
        for eid, values in inputs.items():
            (demand_kw,), (vm_pu,) = values["demand_kw"].values(), values["Vm[pu]"].values()
            share = min(max((vm_pu - LOWEST_PU) / (LOW_PU - LOWEST_PU), 0.0), 1.0)
            self.power_mw[eid] = self.household_mw[eid] + (share if self.controlled else 1.0) * demand_kw / 1000
        return time + 3600

    def get_data(self, outputs):
        return {eid: {"P_load[MW]": self.power_mw[eid]} for eid in outputs}


class Notes(mosaik_api_v3.Simulator):
    """Keeps what it is told."""

    def __init__(self):
        model = {"public": True, "params": [], "attrs": [], "any_inputs": True}
        super().__init__({"api_version": "3.0", "type": "event-based", "models": {"Notes": model}})

    def init(self, sid, time_resolution=1.0, rows=None):
        self.rows = rows
        return self.meta

    def create(self, num, model):
        return [{"eid": "Notes", "type": model}]

    def step(self, time, inputs, max_advance):
        self.rows.append(inputs["Notes"])

    def get_data(self, outputs):
        return {}


def make_net():
    """A village line of pandapower without its own loads."""
    net = pp.networks.create_kerber_landnetz_freileitung_1()
    buses = net.load.bus.tolist()
    net.load = net.load.iloc[:0]
    return net, buses


def main(folder, *, controlled=True):
    """Run a day; returns the lowest voltage, pu, and the energy of the houses, kWh."""
    lines = [f"2017-01-01 {hour:02d}:00:00,{11 if 17 <= hour < 23 else 0}" for hour in range(HOURS)]
    demand = Path(folder) / "demand.csv"
    demand.write_text("\n".join(["Demand", "time,demand_kw", *lines]) + "\n", encoding="utf-8")
    rows, here = [], Path(__file__).stem if __name__ != "__main__" else "__main__"
    world = mosaik.World(
        {
            "Market": {"python": "cosim.coupling.mosaik:Simulator"},
            "Grid": {"python": "mosaik_components.pandapower:Simulator"},
            "Csv": {"python": "mosaik_csv:CSV"},
            "Control": {"python": f"{here}:Controller"},
            "Notes": {"python": f"{here}:Notes"},
        }
    )
    net, buses = make_net()
    changes = {
        "horizon": {"hours": HOURS},
        "houses": {"n_houses": CARS, "n_prosumers": 2},
        "ev": {"n_cars": 0},
        "heat_pump": {"n_heat_pumps": 0},
        "community": {"enabled": False},
    }
    market = world.start("Market").Market(scenario="default", changes=changes)
    grid = world.start("Grid", step_size=3600).Grid(net=net)
    csv = world.start("Csv", sim_start="2017-01-01 00:00:00", datafile=str(demand)).Demand()
    chargers = world.start("Control").Charger.create(CARS, household_mw=0.0005, controlled=controlled)
    notes = world.start("Notes", rows=rows).Notes()
    at = {bus.eid: bus for bus in grid.children if bus.type == "Bus"}
    for trader, charger, index in zip(market.children, chargers, buses[-CARS:], strict=True):
        bus = at[f"Bus-{index}"]
        world.connect(csv, charger, "demand_kw")
        world.connect(charger, trader, "P_load[MW]")
        world.connect(trader, bus, ("P[MW]", "P_load[MW]"))
        world.connect(bus, charger, "Vm[pu]", time_shifted=True, initial_data={"Vm[pu]": 1.0})
        world.connect(bus, notes, "Vm[pu]")
        world.connect(trader, notes, "P[MW]")
    world.run(until=HOURS * 3600, print_progress=False)
    lowest_pu = min(min(row["Vm[pu]"].values()) for row in rows)
    drawn_kwh = sum(sum(row["P[MW]"].values()) * 1000 for row in rows)
    return lowest_pu, drawn_kwh


if __name__ == "__main__":
    for controlled in (False, True):
        lowest_pu, drawn_kwh = main(sys.argv[1], controlled=controlled)
        print(f"controlled {controlled}: lowest voltage {lowest_pu:.3f} pu, {drawn_kwh:.0f} kWh drawn")
