"""Terms, coefficients, periods, settlements and games of communities: what is read, refused, written and compared."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from cosim.community.bench import make_bench, make_worth, settle_bench, take_coalition
from cosim.community.coefficients import parse_regulator_file, parse_table
from cosim.community.delivered import Delivered, measure
from cosim.community.files import find_difference, read_texts, settle_run, write_settlement
from cosim.community.periods import list_months, sum_periods
from cosim.community.sharing import read_worth, share_game, share_run
from cosim.community.terms import parse_terms
from cosim.errors import ScenarioError
from market.errors import MarketError
from market.exchanges import METER

PRICES = "retail_eur_per_kwh = 0.20\nsurplus_eur_per_kwh = 0.06\n"
SPAIN = f'law = "spain"\n{PRICES}[coefficients]\nann = 0.4\nbob = 0.6\n'
FRANCE = f'law = "france"\nkey = "by_use"\ncommunity_eur_per_kwh = 0.12\n{PRICES}'
AUSTRIA = f"""law = "austria"
interval_minutes = 60
community_eur_per_kwh = 0.12
{PRICES}[communities.sun]
allocation = "static"
[communities.sun.participation_percent]
ann = 100
bob = 100
cleo = 50
[communities.sun.coefficients]
ann = 0
bob = 0.7
cleo = 0.3
"""
ITALY = f"""law = "italy"
premium_eur_per_kwh = 0.11
network_eur_per_kwh = 0.01
{PRICES}[split]
producers = 0.5
consumers = 0.5
[substations]
AC1 = ["ann", "bob", "cleo"]
"""
START = int(datetime(2017, 6, 20, tzinfo=UTC).timestamp())


def delivered(minutes: int = 60, n: int = 4) -> Delivered:
    """ann has panels and uses little, bob and cleo use more."""
    generation = np.array([[4_000, 0, 0]] * n)
    use = np.array([[500 * k, 3_000, 1_001] for k in range(n)])
    return Delivered("ab" * 32, ("ann", "bob", "cleo"), START, minutes, generation, use)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('law = "spain', "expected TOML of a community's terms"),
        ('law = "sapin"', "law: expected one of spain, austria, italy, france, got 'sapin'; did you mean 'spain'?"),
        (SPAIN.replace("surplus", "surplu"), "got the unknown key 'surplu_eur_per_kwh'"),
        (SPAIN.replace("0.20", "0.1234567"), "expected a price of whole µEUR/kWh"),
        (SPAIN.replace("0.20", "inf"), "retail_eur_per_kwh: expected"),
        (f"interval_minutes = 15\n{SPAIN}", "expected 60 for law = 'spain', got 15"),
        (f'coefficients_file = "a.txt"\n{SPAIN}', "expected either coefficients or coefficients_file"),
        (AUSTRIA.replace("communities.sun", "communities.outside"), "expected another name than 'outside'"),
        (AUSTRIA.replace("allocation", "alocation"), "did you mean 'allocation'?"),
        (AUSTRIA.replace('"static"', '"dynamic"'), "expected them for allocation = 'static', and for it alone"),
        (ITALY.replace("consumers = 0.5", "consumers = 0.4"), "expected shares that sum to exactly 1, got 0.9"),
        (ITALY.replace('"cleo"', '"ann"'), "expected each member once, got ann more than once"),
        (FRANCE.replace("by_use", "static"), "expected either coefficients or coefficients_file"),
    ],
)
def test_terms_are_read_strictly(text: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse_terms(text, "terms.toml")
    assert message in str(caught.value)


def test_sums_are_those_of_decimals() -> None:
    """0.1 + 0.2 + 0.7 is not 1 in binary; 0.333333 three times is not 1 either."""
    assert 0.7 + 0.2 + 0.1 != 1.0
    thirds = SPAIN.replace("ann = 0.4\nbob = 0.6", "ann = 0.7\nbob = 0.2\ncleo = 0.1")
    make_bench(parse_terms(thirds, "t"), {}, delivered())
    with pytest.raises(MarketError, match=r"sum to exactly 1, got 0\.999999"):
        make_bench(parse_terms(thirds.replace("0.7", "0.699999"), "t"), {}, delivered())


def hourly(first: str, hours: range) -> str:
    return "".join(f"ES1;{hour:04d};{first}\nES2;{hour:04d};0,600000\n" for hour in hours)


def test_regulator_file_counts_hours_of_the_local_year() -> None:
    """From 1:00 on 26 March 2017 in Madrid the next hour begins at 3:00: hours are counted as they elapse."""
    start = int(datetime(2017, 3, 26, 0, tzinfo=UTC).timestamp())
    first = 84 * 24 + 2  # 1:00 in Madrid of day 85
    text = f"ES1;{first:04d};0,4\nES2;{first:04d};0,6\nES1;{first + 1};1,000000\nES2;{first + 1};0,000000\n"
    found = parse_regulator_file(text, "CAU1_2017.txt", ["ES2", "ES1"], start, 2, "Europe/Madrid")
    assert found.tolist() == [[600_000, 400_000], [0, 1_000_000]]
    fixed = parse_regulator_file("ES1;0,4\nES2;0,6\n", "CAU1_2017.txt", ["ES1", "ES2"], start, 2, "Europe/Madrid")
    assert fixed.tolist() == [400_000, 600_000]


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (hourly("0.400000", range(1, 3)), "C_2017.txt", "line 1: expected CUPS;hour;0,123456"),
        (hourly("0,400000", range(1, 2)), "C_2017.txt", "expected a line for ES1 and hour 2, got none"),
        (hourly("0,400001", range(1, 3)), "C_2017.txt", r"got 1\.000001 in row 1 of 2"),
        (hourly("0,400000", range(1, 3)), "C_2016.txt", "expected a run within 2016"),
        (hourly("0,400000", range(1, 3)), "C.txt", "expected a file named CAU_YEAR.txt"),
        ("ES1;0001;0,4\nES2;0,6\n", "C_2017.txt", "expected hours in all lines or in none"),
        ("ES1;0,4\nES1;0,6\n", "C_2017.txt", "got one again"),
        ("ES1;0,4\nES3;0,6\n", "C_2017.txt", "got ES3 beside them and not ES2"),
    ],
)
def test_regulator_files_that_are_not_as_expected(text: str, name: str, message: str) -> None:
    begin = int(datetime(2016, 12, 31, 23, tzinfo=UTC).timestamp())
    with pytest.raises((ScenarioError, MarketError), match=message):
        parse_regulator_file(text, name, ["ES1", "ES2"], begin, 2, "Europe/Madrid")


def test_table_of_half_hours() -> None:
    text = "time,ann,bob\n2017-06-20T00:00,0.25,0.75\n2017-06-20T02:30+02:00,1,0\n"
    names, weights = parse_table(text, "keys.csv", START, 2, 30)
    assert (names, weights.tolist()) == (("ann", "bob"), [[25, 75], [100, 0]])
    with pytest.raises(ScenarioError, match="row 3: expected 2017-06-20T00:30 UTC"):
        parse_table(text.replace("02:30+02", "02:30+01"), "keys.csv", START, 2, 30)
    with pytest.raises(MarketError, match=r"got 0\.99 in row 1"):
        parse_table(text.replace("0.75", "0.74"), "keys.csv", START, 2, 30)


def test_intervals_are_summed_or_refused_by_name() -> None:
    quarters = np.arange(8).reshape(8, 1)
    assert sum_periods(quarters, 0, 15, 60).tolist() == [[6], [22]]
    with pytest.raises(ScenarioError, match="fill periods of 30 minutes, got intervals of 60"):
        sum_periods(quarters, 0, 60, 30)
    with pytest.raises(ScenarioError, match="fill periods of 15 minutes, got intervals of 10"):
        sum_periods(quarters, 0, 10, 15)
    with pytest.raises(ScenarioError, match="one that begins 1970-01-01 00:15 UTC"):
        sum_periods(quarters, 900, 15, 60)
    assert list_months(START, 2, 60, "Europe/Madrid").tolist() == [201706, 201706]


def test_measured_is_what_was_delivered() -> None:
    """Spilled generation and shed load are in neither."""
    meter = np.zeros(1, METER)
    meter["pv_wh"], meter["spilled_wh"], meter["discharge_wh"] = 5_000, 1_000, 200
    meter["load_wh"], meter["shed_wh"], meter["charge_wh"] = 3_000, 500, 100
    generation, use = measure(meter)
    assert (generation.tolist(), use.tolist()) == ([4_200], [2_600])


@pytest.mark.parametrize(("law", "minutes"), [(SPAIN, 60), (AUSTRIA, 60), (ITALY, 60), (FRANCE, 30)])
def test_what_is_settled_is_written_and_compared(
    law: str, minutes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, path = delivered(minutes), tmp_path / "mine.toml"
    path.write_text(law)
    settled = settle_run(read_texts(path), given, "mine.toml")
    assert sum(settled.summary["balances_neur"].values()) == 0
    out = tmp_path / "out"
    write_settlement(settled, out)
    assert find_difference(out, settled) is None
    assert pq.read_table(out / "postings.parquet").equals(settled.tables["postings"])
    changed = (out / "balances.csv").read_text().replace("-", "", 1)
    (out / "balances.csv").write_text(changed)
    assert "balances.csv: not what" in str(find_difference(out, settled))
    with pytest.raises(ScenarioError, match="expected a new or empty folder"):
        write_settlement(settled, out)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(ScenarioError, match="a folder below this one"):
        write_settlement(settled, Path())


def test_parquet_of_another_writer_is_compared_by_values(tmp_path: Path) -> None:
    settled = settle_run({"terms.toml": SPAIN}, delivered(), "t")
    write_settlement(settled, tmp_path / "out")
    path, table = tmp_path / "out" / "postings.parquet", settled.tables["postings"]
    pq.write_table(table, path, compression="none")
    assert find_difference(tmp_path / "out", settled) is None
    other = table.set_column(5, "amount_neur", [[value + 1 for value in table["amount_neur"].to_pylist()]])
    pq.write_table(other, path)
    assert "postings.parquet: not what" in str(find_difference(tmp_path / "out", settled))
    path.write_bytes(b"PAR1")
    assert "postings.parquet: not what" in str(find_difference(tmp_path / "out", settled))


def test_members_that_are_no_houses_are_refused() -> None:
    with pytest.raises(ScenarioError, match=r"got 'bobb'; it has ann, bob, cleo; did you mean 'bob'\?"):
        make_bench(parse_terms(SPAIN.replace("bob", "bobb"), "t"), {}, delivered())


@pytest.mark.parametrize(("law", "minutes"), [(SPAIN, 60), (AUSTRIA, 60), (ITALY, 60), (FRANCE, 30)])
def test_worth_is_what_a_coalition_saves(law: str, minutes: int) -> None:
    bench = make_bench(parse_terms(law, "t"), {}, delivered(minutes))
    worth, n = make_worth(bench), len(bench.names)
    assert [worth(1 << k) for k in range(n)] == [0] * n
    assert worth(2**n - 1) > 0
    assert take_coalition(bench, range(n)).names == bench.names
    found = share_run(bench, "nucleolus", n_orders=None, seed=1, confidence=0.95)
    assert sum(found.shares_neur) == worth(2**n - 1)
    sampled = share_run(bench, "shapley", n_orders=40, seed=1, confidence=0.95)
    assert sum(sampled.shares_neur) == worth(2**n - 1)
    assert settle_bench(bench).parts


def test_game_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "worth.csv"
    path.write_text("coalition,worth_eur\nann,0\nbob,1.5\nbob+ann,6\n")
    game = read_worth(path)
    assert game.worth_neur == (0, 0, 1_500_000_000, 6_000_000_000)
    assert share_game(game, "shapley").shares_neur == (2_250_000_000, 3_750_000_000)
    for text, message in (
        ("coalition,worth_eur\nann,0\nbob,1\n", "got 2; add what is missing"),
        ("coalition,worth_eur\nann,nan\n", "row 2: expected members joined"),
        ("coalition,worth_eur\nann,1\nann,1\n", "got ann again"),
        ("members,eur\n", "expected columns coalition,worth_eur"),
    ):
        path.write_text(text)
        with pytest.raises(ScenarioError, match=message):
            read_worth(path)
    with pytest.raises(ScenarioError, match="expected shapley or nucleolus"):
        share_game(game, "equal")
