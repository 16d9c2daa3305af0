# %% [markdown]
# # Example: your own network and profiles
#
# Four houses on a cable that you describe yourself, with load and generation of your own: from a pandapower net and a
# CSV file to settled trades and the voltages they cause.

# %%
from pathlib import Path

import numpy as np
import pandapower as pp
import pandas as pd

from cosim import Scenario, run

# %% [markdown]
# ## The network
#
# Any pandapower net with an external grid will do. Here a transformer feeds four houses, 200 m of cable between two of
# them.

# %%
net = pp.create_empty_network(name="four houses")
medium = pp.create_bus(net, 20.0, name="medium voltage")
last = pp.create_bus(net, 0.4, name="bar")
pp.create_ext_grid(net, medium)
pp.create_transformer(net, medium, last, "0.25 MVA 20/0.4 kV", name="transformer")
for number in range(1, 5):
    bus = pp.create_bus(net, 0.4, name=f"house {number}")
    pp.create_line(net, last, bus, 0.2, "NAYY 4x50 SE", name=f"cable {number}")
    last = bus
pp.to_json(net, "feeder.json")

Path("participants.csv").write_text(
    "participant,bus\nann,house 1\nbob,house 2\ncyd,house 3\ndan,house 4\n", encoding="utf-8"
)

# %% [markdown]
# ## The profiles
#
# One row per interval and participant, in kWh. Cyd and Dan have panels; everybody cooks in the evening. The columns are those of
# [the how-to](../how-to/own-network.md).

# %%
times = pd.date_range("2017-06-01", periods=48, freq="h", tz="UTC")
hour = times.hour.to_numpy()
sun = np.clip(np.sin((hour - 5) / 15 * np.pi), 0, None)
evening = np.exp(-((hour - 19) ** 2) / 8)
profiles = pd.concat(
    pd.DataFrame(
        {
            "time": times,
            "participant": who,
            "load_kwh": (0.4 + 2.0 * evening) * usage,
            "pv_kwh": peak * sun,
            "price_eur_per_kwh": 0.20 + 0.08 * evening,
        }
    )
    for who, usage, peak in (("ann", 1.0, 0.0), ("bob", 1.6, 0.0), ("cyd", 0.8, 6.0), ("dan", 1.2, 9.0))
)
profiles.round(4).to_csv("profiles.csv", index=False)
print(profiles[profiles.time == times[12]].round(3).to_string(index=False))

# %% [markdown]
# ## The scenario
#
# Every key that is left out has its default; `gridsettle scenario new mine.toml` writes all of them with units. Here nobody has
# a battery, and what is left over goes to the grid.

# %%
Path("mine.toml").write_text(
    """
name = "four houses"

[horizon]
start = 2017-06-01T00:00:00Z
hours = 48

[profiles]
source = "table"
file = "profiles.csv"

[network]
source = "file"
file = "feeder.json"
participants = "participants.csv"

[battery]
capacity_kwh_min = 0
capacity_kwh_max = 0

[market]
mechanism = "trading"
feed_in = true
""",
    encoding="utf-8",
)
result = run(Scenario.load("mine.toml"), "run")

# %% [markdown]
# ## What came of it
#
# Energies of two days, all houses together:

# %%
energy = result.summary["energy_kwh"]
for name in ("load", "pv", "p2p", "imported", "exported", "losses"):
    print(f"{name:<10}{energy[name]:>8.2f} kWh")

# %% [markdown]
# The balance of every interval is exact, in whole Wh:

# %%
balance = result.energy_balance
print(balance[["pv_wh", "from_grid_wh", "served_wh", "to_grid_wh", "losses_wh", "residual_wh"]].sum().to_string())

# %% [markdown]
# The voltages, which the AC power flow found in every hour, fall along the cable in the evening and rise at noon:

# %%
voltage = result.bus_voltage.groupby("bus", observed=True).vm_pu.agg(["min", "max"])
print(voltage.round(4).to_string())

# %% [markdown]
# Tables are DataFrames; here the trades of the sunniest hour.

# %%
noon = result.exchanges.loc[str(times[12])]
trades = noon[noon.kind == "p2p"]
print(trades[["seller", "buyer", "delivered_wh", "price_ueur_per_kwh"]].to_string(index=False))

# %% [markdown]
# `result.report()` writes all of it as one page with figures into the run's directory:

# %%
print(result.report().name, "and", *sorted(path.name for path in Path("run").glob("*summary.csv")))
