"""Scenarios: defaults, round trip through TOML, digest, bundled ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from cosim.errors import ScenarioError
from cosim.scenario.files import format_toml, load_scenario, parse_scenario, read_bundled
from cosim.scenario.model import Scenario


def test_shown_scenario_loads_to_the_same_one() -> None:
    scenario = Scenario().with_changes(seed=7, market={"mechanism": "trading", "feed_in": True})
    assert parse_scenario(format_toml(scenario), "text") == scenario


def test_shown_scenario_names_every_key_with_its_unit() -> None:
    text = format_toml(Scenario())
    for section, field in Scenario.model_fields.items():
        keys = getattr(field.annotation, "model_fields", {})
        for key in keys:
            assert f"{key} = " in text, (section, key)


@pytest.mark.parametrize("name", sorted(read_bundled()))
def test_bundled_scenarios_load_and_introduce_themselves(name: str) -> None:
    assert load_scenario(name).name == name
    assert read_bundled()[name].startswith("# ")


def test_paths_are_relative_to_the_scenario_file(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('[profiles]\nsource = "table"\nfile = "profiles.csv"\n')
    assert load_scenario(file).profiles.file == (tmp_path / "profiles.csv").resolve()


def test_digest_ignores_how_a_run_is_computed_and_where_files_lie() -> None:
    base = Scenario()
    assert base.with_changes(engine={"window": 7}, name="x").digest() == base.digest()
    assert base.with_changes(profiles={"file": "/a/b.csv"}).digest() == base.digest()
    assert base.with_changes(seed=2).digest() != base.digest()
    assert base.with_changes(limits={"max_vm_pu": 1.05}).digest() != base.digest()


RATIOS = {"r0_over_r1": 4.0, "x0_over_x1": 4.0, "c0_over_c1": 1.0}
PHASES: list[dict[str, dict[str, object]]] = [
    {"network": {"model": "three_phase"}},
    {"network": {"model": "four_wire"}},
    {"network": {"model": "three_phase", "phases": "worst"}},
    {"network": {"model": "three_phase", "phases": "balanced"}},
    {"network": {"model": "three_phase", "zero_sequence": RATIOS}},
    {"network": {"model": "three_phase", "zero_sequence": {**RATIOS, "c0_over_c1": 0.5}}},
    {"network": {"model": "three_phase"}, "limits": {"max_vuf_percent": 3.0}},
    {"network": {"model": "three_phase"}, "limits": {"max_neutral_to_earth_v": 50.0}},
]


def test_every_key_of_phases_has_a_digest_of_its_own_and_survives_being_written() -> None:
    several = [Scenario(), *(Scenario("test", **changes) for changes in PHASES)]
    assert len({scenario.digest() for scenario in several}) == len(several)
    for scenario in several:
        assert parse_scenario(format_toml(scenario), "text") == scenario


def test_the_digest_of_a_balanced_scenario_is_that_of_earlier_versions() -> None:
    assert Scenario().digest().hex()[:16] == "3064b581c52ec4a4"


def test_every_mistake_is_named_at_once_with_its_key() -> None:
    text = "seed = -1\n[market]\nbeta = 2.0\nmecanism = 'trading'\n"
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(text, "my.toml")
    message = str(caught.value)
    assert "my.toml, seed: expected greater than or equal to 0, got -1" in message
    assert "my.toml, market.beta: expected less than or equal to 0.999, got 2.0" in message
    assert "did you mean 'mechanism'?" in message


def test_changes_are_validated_like_a_file() -> None:
    with pytest.raises(ScenarioError, match="--seed, seed: expected less than"):
        Scenario().with_changes("--seed", seed=2**40)


def test_a_folder_named_like_a_bundled_scenario_does_not_hide_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("reference", "other"):
        Path(name).mkdir()
    assert load_scenario("reference") == Scenario.load("reference") == load_scenario(Path("reference"))
    with pytest.raises(ScenarioError, match="'other': expected a TOML file or one of cigre_lv, "):
        load_scenario("other")
    Path("default").write_text('name = "mine"\n', encoding="utf-8")
    assert load_scenario("default").name == "mine"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"seed": -1}, "seed: expected greater than or equal to 0, got -1 (seed of everything random)"),
        ({"horizon": {"hours": "long"}}, "horizon.hours: expected a valid number, unable to parse"),
        ({"market": {"mecanism": "none"}}, "market.mecanism: expected one of the keys mechanism, "),
        ({"houses": 5}, "houses: expected a table of keys, got 5"),
        ({"battery": {"soc_min": 0.9, "soc_max": 0.1}}, "battery: soc_min is above soc_max"),
        ({"profiles": {"file": 3}}, "profiles.file: expected a path, got 3 (the file of source spain"),
        ({"network": {"zero_sequence": {"r0": 4.0}}}, "zero_sequence: expected the keys r0_over_r1, x0_over_x1, c0_ov"),
        ({"network": {"zero_sequence": {"r0_over_r1": 0.0}}}, "zero_sequence.r0_over_r1: expected a ratio from 0.01 t"),
        ({"network": {"model": "3ph"}}, "network.model: expected 'balanced', 'three_phase' or 'four_wire', got '3ph'"),
        ({"limits": {"max_vuf_percent": 0}}, "limits.max_vuf_percent: expected greater than 0, got 0 (largest volt"),
        ({"events": [{"kind": "flood"}]}, "events.0: expected 'kind' to be one of 'outage', 'random_outages', "),
        ({"events": [{"start": 1}]}, "events.0: expected a key 'kind', got none"),
        ({"events": [{"kind": "retire", "participant": "a", "device": "pv"}]}, "events.0.retire.at: expected a val"),
        ({"events": [{"kind": "outage", "start": "2017-01-01", "hours": 1}]}, "events.0.outage: expected grid = true"),
        ({"horizon": {"hours": 6.5}}, "horizon: hours: expected whole 60-minute intervals, got 6.5; round it"),
        ({"events": [{"kind": "load", "factr": 1}]}, "got the unknown key 'factr'; did you mean 'factor'?"),
    ],
)  # fmt: skip
def test_mistakes_in_python_are_said_as_on_the_command_line(content: dict[str, object], message: str) -> None:
    for where, make in (("Scenario", Scenario), ("with_changes", Scenario().with_changes)):
        with pytest.raises(ScenarioError) as caught:
            make(**content)
        said = str(caught.value)
        assert said.startswith(f"{where}, ")
        assert message in said
        for word in ("pydantic", "Input", "Field", "validation error", "[type="):
            assert word not in said
        assert isinstance(caught.value, ValueError)
        assert isinstance(caught.value.__cause__, ValidationError)


def test_a_horizon_may_end_with_any_interval() -> None:
    half = Scenario(horizon={"hours": 6.5, "interval_minutes": 30})
    assert half.horizon.n_intervals == 13
    assert parse_scenario(format_toml(half), "text") == half
    whole = Scenario(horizon={"hours": 24.0})
    assert "hours = 24\n" in format_toml(whole).replace("  #", "\n")
    assert whole.digest() == Scenario(horizon={"hours": 24}).digest()
    assert repr(whole.model_dump(mode="json")["horizon"]["hours"]) == "24"  # digests are as with integers only


RATIOS = {"r0_over_r1": 4.0, "x0_over_x1": 4.0, "c0_over_c1": 1.0}


@pytest.mark.parametrize("key", ["star_earth_ohm", "house_earth_ohm", *RATIOS])
@pytest.mark.parametrize("value", [1e-300, 0.0, -1.0, 1e8, 1e300, float("nan"), float("inf"), True])
def test_earths_and_zero_sequences_that_none_has_are_refused_by_key(key: str, value: float) -> None:
    given = {"zero_sequence": {**RATIOS, key: value}} if key in RATIOS else {key: value}
    with pytest.raises(ScenarioError, match=rf"{key}: expected a (number, got true|\w+ from 0\.0\d*1 to 10*\b)"):
        Scenario().with_changes(network={"model": "four_wire", **given})


@pytest.mark.parametrize("value", [0.01, 1000.0])
def test_earths_and_zero_sequences_at_the_ends_of_their_range_are_taken(value: float) -> None:
    network = {"model": "four_wire", "star_earth_ohm": value, "zero_sequence": dict.fromkeys(RATIOS, value)}
    assert Scenario().with_changes(network=network).network.star_earth_ohm == value


def test_a_default_limit_of_unbalance_is_nobodys_wish_in_changed_scenarios_either() -> None:
    """Runs write every key of their scenario; continued from it, the limit still is that of the standard."""
    changed = Scenario().with_changes(horizon={"hours": 2})
    assert changed.limits.asked()["max_vuf_percent"] is None
    assert changed.with_changes(limits={"max_vuf_percent": 1.5}).limits.asked()["max_vuf_percent"] == 1.5
