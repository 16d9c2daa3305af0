# %% [markdown]
# # Example: a winter outage
#
# Eight houses and their community lose the grid on a January evening, for 18 hours. Who holds the voltage, who is served, and
# what does a second fuel cell change?

# %%
import pandas as pd

from cosim import Scenario, run

# %% [markdown]
# ## The scenario
#
# The community owns panels, a battery and a fuel cell with 4 kg of hydrogen. 30 % of every house's load is critical:
# it is shed last.

# %%
outage = {"kind": "outage", "start": "2017-01-17T18:00:00Z", "hours": 18, "grid": True}
winter = Scenario().with_changes(
    name="winter",
    horizon={"start": "2017-01-16T00:00:00Z", "hours": 72},
    houses={"n_houses": 8, "n_prosumers": 4},
    network={"n_branches": 2},
    community={
        "enabled": True,
        "pv_kwp": 4.0,
        "battery_kwh": 15.0,
        "fuel_cell": "pem-6kw",
        "tank_kg": 4.0,
        "critical_share": 0.3,
    },
    events=[outage],
)
result = run(winter, "alone")
print(result.intervals.outcome.value_counts()[lambda n: n > 0].to_string())

# %% [markdown]
# 18 hours without the grid make 19 as an island: it runs one healthy hour beside the returned grid before it is joined to it.
#
# ## Hour by hour
#
# One row per island and hour: who held it, what it was asked for, what it served, and from what (kWh, state of charge in %).

# %%
hours = pd.read_parquet("alone/outage_intervals.parquet").query("supply == 'island'")
night = pd.DataFrame(
    {
        "hour": hours.time.dt.strftime("%d %H:%M"),
        "held by": hours.former,
        **{name: hours[f"{name}_wh"] / 1000 for name in ("load", "served", "pv", "fuel_cell", "discharge", "losses")},
        "soc": 100 * hours.soc,
    }
)
print(night.round(2).to_string(index=False))

# %% [markdown]
# What the island serves, charges and loses is what panels, fuel cell and batteries give, to the Wh:

# %%
balance = result.energy_balance.loc[hours.time]
print(
    "residual:",
    int(balance.residual_wh.abs().max()),
    "Wh; from the grid:",
    int(balance.from_grid_wh.sum()),
    "Wh",
)

# %% [markdown]
# ## A second fuel cell, plugged in
#
# Three hours into the outage a neighbour brings a fuel cell. It asks to be registered; its connection is checked by trial power
# flows, and the answer is signed into the ledger.

# %%
plugged = {
    "kind": "register",
    "at": "2017-01-17T21:00:00Z",
    "participant": "house_03",
    "device": "fuel_cell",
    "preset": "pem-1.26kw",
    "tank_kg": 2.0,
}
helped = run(winter.with_changes(events=[outage, plugged]), "helped")
answers = pd.read_csv("helped/registrations.csv")
print(answers[["time", "device", "rated_kw", "answer"]].round(3).to_string(index=False))

# %% [markdown]
# ## What it changed

# %%
metrics = pd.DataFrame({"alone": result.resilience.loc["all"], "helped": helped.resilience.loc["all"]})
shown = [
    "energy_not_served_kwh",
    "served_share",
    "critical_served_share",
    "saidi_hours",
    "lowest_soc",
    "lowest_hydrogen_kg",
]
print(metrics.loc[shown].astype(float).round(3).to_string())

# %% [markdown]
# `result.report()` draws the supply, the load by priority, the stores and the frequency of the island; `gridsettle run outage` is
# the same story with 25 houses, and [the how-to](../how-to/outage.md) says more.
