import io

import pandas as pd
import pytest

from data.tables import parse_trades, read_trades
from data.trades import trades_from_frame

TRADES = """time,seller,buyer,energy_kwh,price_eur_per_kwh
2017-06-01T12:00Z,a,b,1.5,0.11
2017-06-01T12:00Z,a,grid,0.25,0.05
2017-06-01T11:00Z,grid,c,0.0006,0.3
"""


def test_trades_are_integers_in_the_order_of_the_file_with_its_row_numbers(tmp_path):
    file = tmp_path / "trades.csv"
    file.write_text(TRADES)
    trades = read_trades(file)
    assert list(trades.columns) == ["time", "seller", "buyer", "energy_wh", "price_ueur_per_kwh"]
    assert trades["energy_wh"].tolist() == [1500, 250, 1]
    assert trades["price_ueur_per_kwh"].tolist() == [110_000, 50_000, 300_000]
    assert trades["buyer"].tolist() == ["b", "grid", "c"]
    assert trades["time"].iloc[2] == pd.Timestamp("2017-06-01T11:00Z")
    assert trades.index.tolist() == [2, 3, 4]
    assert (trades.index.name, str(trades["energy_wh"].dtype)) == ("row", "int64")


def test_units_are_read_off_the_columns():
    text = "time,seller,buyer,energy_wh,price_eur_per_mwh\n2017-06-01T12:00Z,a,b,1499.6,110.0004\n"
    trades = parse_trades(io.StringIO(text))
    assert trades["energy_wh"].tolist() == [1500]
    assert trades["price_ueur_per_kwh"].tolist() == [110_000]


def test_local_times_and_parquet(tmp_path):
    frame = pd.read_csv(io.StringIO(TRADES.replace("Z", "")))
    frame.to_parquet(tmp_path / "t.parquet")
    trades = read_trades(tmp_path / "t.parquet", timezone="Europe/Madrid")
    assert trades["time"].iloc[0] == pd.Timestamp("2017-06-01T10:00Z")
    assert trades.index.tolist() == [1, 2, 3]


def test_dataframes_are_taken_as_files_are():
    trades = trades_from_frame(pd.read_csv(io.StringIO(TRADES)))
    assert trades["energy_wh"].tolist() == [1500, 250, 1]


@pytest.mark.parametrize("second", ["2017-06-01T12:00Z,a,b,1.5,0.12", "2017-06-01T12:00Z,b,a,1.5,0.11"])
def test_the_same_pair_may_trade_again_on_other_terms(second):
    first = TRADES.splitlines()[1]
    trades = parse_trades(io.StringIO("\n".join([TRADES.splitlines()[0], first, second])))
    assert len(trades) == 2
