# %% [markdown]
# # A first hour
#
# A year of the default scenario, and one hour of it in which the wires say no: what the market cleared, what the cables and the
# transformer could carry, what settled. Run it cell by cell and change what you like.

# %%
import pandas as pd
import plotly.graph_objects as go

from cosim import Scenario, run

# %% [markdown]
# ## The street
#
# 36 houses on two branches. `scenario` has every option; whatever you do not set has its default.

# %%
scenario = Scenario.load("default")
houses, limits = scenario.houses, scenario.limits
print(f"{houses.n_houses} houses, panels on {houses.n_prosumers} roofs")
print(f"{scenario.ev.n_cars} cars, {scenario.heat_pump.n_heat_pumps} heat pumps")
print(f"voltages must stay within {limits.min_vm_pu} and {limits.max_vm_pu} pu, in every phase of every house")

# %% [markdown]
# ## The year
#
# Some ten seconds; the very first run on a machine also compiles, for a minute.

# %%
result = run(scenario)
curtailed = result.summary["curtailed"]
print(f"{curtailed['hours']:.0f} of {len(result.intervals):,} hours curtailed")
print(f"{curtailed['cut_kwh']:.1f} kWh cut or put off")
print(pd.DataFrame(curtailed["by_element"]).round(1).to_string(index=False))

# %% [markdown]
# ## The hours
#
# `curtailment` has a row for every exchange that was cut. Cars and heat pumps that are put off ask again later: those rows,
# `shift`, are negative. Left out here.

# %%
curtailment = result.table("curtailment").to_pandas()
cut = curtailment[curtailment.curtailed_wh > 0]
by_hour = cut.groupby("time").agg(exchanges=("seq", "size"), cut_wh=("curtailed_wh", "sum"), reason=("reason", "first"))
print(by_hour.nlargest(6, "cut_wh").to_string())

# %% [markdown]
# ## One of them, as cleared
#
# An afternoon in June. One car charges from neighbours' roofs, and most of the sun leaves the street.

# %%
hour = pd.Timestamp("2017-06-14T13:00Z")
exchanges = result.exchanges.loc[hour]
print(
    exchanges.groupby("kind", observed=True)[["cleared_wh", "delivered_wh"]].sum().query("cleared_wh > 0").to_string()
)
car = result.ev.loc[hour].query("given_wh > 0")
print(car[["house", "wanted_wh", "given_wh"]].to_string(index=False))

# %% [markdown]
# ## What the wires said
#
# `violations` is the verdict of the AC power flow on what was cleared, worst last.

# %%
said = result.violations.loc[hour].sort_values("value")
print(said[["name", "phase", "quantity", "value", "limit"]].round(4).to_string(index=False))

# %% [markdown]
# ## What settled
#
# The rule `least_curtailment` cut where a kWh less lowers the voltage most. The trades between neighbours are whole.

# %%
not_whole = exchanges[exchanges.status != "accepted"]
print(not_whole[["kind", "seller", "cleared_wh", "delivered_wh", "reason"]].to_string(index=False))
settled = result.bus_voltage.loc[hour].set_index("bus")
print(
    settled.loc[list(not_whole["seller"].map("bus {}".format)), ["vm_a_pu", "vm_b_pu", "vm_c_pu"]].round(4).to_string()
)

# %% [markdown]
# ## The day around it
#
# The house at the end of branch 1, phase by phase, as settled: the dashed line is the limit.

# %%
day = result.bus_voltage.loc["2017-06-14"]
last = day[day.bus == "bus house_36"]
figure = go.Figure()
for phase in "abc":
    figure.add_scatter(x=last.index, y=last[f"vm_{phase}_pu"], name=f"phase {phase}", line_shape="hv")
figure.add_hline(y=limits.max_vm_pu, line_dash="dash")
figure.update_layout(template="plotly_white", title="house_36, 14 June 2017, UTC", yaxis_title="voltage, pu")
figure

# %% [markdown]
# ## Go on
#
# - Let the voltage go up to what EN 50160 allows: `scenario.with_changes(limits={"max_vm_pu": 1.1})`.
# - Cut all alike, not where it helps most: `scenario.with_changes(curtailment={"rule": "pro_rata"})`.
# - Keep the run, with its ledger: `run(scenario, "runs/mine")`, then `result.report()`.
