# %% [markdown]
# # Example: a trade that overloads a cable
#
# Eve has a large roof at the end of a thin cable. The market sells all that she generates; the cable cannot carry it. What
# becomes of the trades, of the energy and of the money?

# %%
import pandapower as pp
import pandas as pd

from cosim import validate

# %% [markdown]
# ## A thin cable
#
# ```text
# grid ~ transformer ~ bar ---- thick ---- ann, bob
#                       \------ thin ----- eve
# ```

# %%
net = pp.create_empty_network(name="thin cable")
medium, bar = pp.create_bus(net, 20.0, name="medium"), pp.create_bus(net, 0.4, name="bar")
pp.create_ext_grid(net, medium)
pp.create_transformer(net, medium, bar, "0.25 MVA 20/0.4 kV", name="transformer")
for house, cable, km in (
    ("ann", "NAYY 4x150 SE", 0.10),
    ("bob", "NAYY 4x150 SE", 0.12),
    ("eve", "NAYY 4x50 SE", 0.08),
):
    pp.create_line(net, bar, pp.create_bus(net, 0.4, name=house), km, cable, name=f"cable {house}")
limit_kva = 3**0.5 * 0.4 * net.line.max_i_ka.iloc[-1] * 1000
print(f"Eve's cable carries {limit_kva:.1f} kVA at 400 V.")

# %% [markdown]
# ## The trades
#
# Three trades of one hour. Together Eve would send 115 kW.

# %%
trades = pd.DataFrame(
    {
        "time": "2017-06-01T12:00Z",
        "seller": ["eve", "eve", "eve"],
        "buyer": ["ann", "bob", "grid"],
        "energy_kwh": [40.0, 50.0, 25.0],
        "price_eur_per_kwh": [0.14, 0.12, 0.07],
    }
)
judged = validate(net, trades)
print(judged)
print(judged.violations[["element_name", "quantity", "value", "limit"]].round(2).to_string(index=False))

# %% [markdown]
# ## What is delivered
#
# The rule `least_curtailment` keeps the cable within its limit at the least loss: the export goes first, for a trade between
# neighbours is worth more.

# %%
shown = ["seller", "buyer", "energy_wh", "delivered_wh", "status", "reason", "element_name"]
print(judged.trades[shown].to_string(index=False))

# %% [markdown]
# Money follows what is delivered: nobody pays for energy that never came.

# %%
as_traded = (trades.energy_kwh * trades.price_eur_per_kwh).sum()
paid = judged.trades.amount_neur.sum() / 1e9
print(f"as traded {as_traded:.2f} EUR, paid {paid:.2f} EUR")

# %% [markdown]
# The result was solved again: the cable now carries what it can, and not more.

# %%
loading = judged.branch_loading
print(loading[loading.element == "cable eve"].round(2).to_string(index=False))

# %% [markdown]
# ## Other rules
#
# Who loses is a choice. `pro_rata` cuts all alike, `lifo` the last trade first, `max_min` makes the smallest share as large as
# possible, `reject` gives up a trade as a whole.

# %%
rules = ("least_curtailment", "pro_rata", "lifo", "max_min", "reject")
delivered = pd.DataFrame(
    {rule: validate(net, trades, rule=rule).trades.delivered_wh / 1000 for rule in rules}
).set_axis(["to ann", "to bob", "to the grid"])
delivered.loc["together"] = delivered.sum()
print(delivered.round(2).T.rename_axis("kWh").to_string())
