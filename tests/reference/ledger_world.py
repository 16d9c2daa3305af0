"""Small worlds for ledger tests: houses that really trade, share and store, and the records of it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cosim.delivery.losses import with_losses
from cosim.delivery.window import InputSeries, Window, settle_window
from market.exchanges import METER, Kind
from market.ledger.format import statements
from market.ledger.format.header import make_demonstration_key
from market.ledger.format.records import (
    PHASES,
    VERDICT,
    Change,
    DeviceKind,
    RecordBytes,
    RecordKind,
    Role,
    make_house_records,
    make_parameter_records,
    make_record,
    make_topology_records,
    number_records,
    view_as_bytes,
)
from market.ledger.write.ledger import Ledger, state_roots
from market.rules import SHARING_P2P, Rules
from market.state import State, make_opening_state
from market.storage import Ratings

START = 1_420_070_400


class World(NamedTuple):
    """Everything a ledger is made of: genesis records, then records, offsets and state roots of all intervals."""

    genesis: list[RecordBytes]
    starts: npt.NDArray[np.int64]
    records: RecordBytes
    offsets: npt.NDArray[np.int64]
    roots: list[bytes]
    window: Window
    key: Ed25519PrivateKey


def market_of(n_houses: int, n_intervals: int, seed: int) -> tuple[InputSeries, State]:
    """Half the houses with panels, batteries of 2-6 kWh with losses, and wallets of which some run dry."""
    rng = np.random.default_rng(seed)
    hours = np.arange(n_intervals) % 24
    sun = np.maximum(np.sin((hours - 6) * np.pi / 12), 0.0)
    has_panels = np.arange(n_houses) % 2 == 0
    pv = sun[:, None] * has_panels * rng.integers(2000, 5000, n_houses) * rng.uniform(0.3, 1, (n_intervals, 1))
    capacity = rng.integers(2000, 6000, n_houses)
    ratings = Ratings(
        capacity // 10,
        capacity,
        capacity // 2,
        capacity // 2,
        np.full(n_houses, 950_000),
        np.full(n_houses, 960_000),
        np.full(n_houses, 100),
    )
    wallets = rng.choice([20_000_000, 400_000_000], n_houses)
    supply = InputSeries(
        rng.integers(100, 1500, (n_intervals, n_houses)),
        pv.astype(np.int64),
        np.zeros((n_intervals, n_houses), np.int64),
        rng.integers(30_000, 80_000, n_intervals),
    )
    return supply, make_opening_state(capacity // 5, wallets, ratings)


def world(
    n_houses: int = 4,
    n_intervals: int = 30,
    seed: int = 1,
    mechanism: int = SHARING_P2P,
    parameters: dict[str, int] | None = None,
    *,
    phased: bool = False,
) -> World:
    """A world of `n_houses` houses over `n_intervals` hours, the same for the same arguments.

    If it is phased, its ledger is of version 2: houses are on phases, and verdicts have phases behind them.
    """
    supply, state = market_of(n_houses, n_intervals, seed)
    rules = Rules(mechanism=mechanism, feed_in=1, fee_permille=100, tau_intervals=6)
    window = settle_window(supply, 0, n_intervals, state, rules)
    lost = np.random.default_rng(seed).integers(0, 90, n_intervals)
    window = with_losses(window, lost, supply.utility_ueur_per_kwh, 0, n_houses)
    terms = {"seed": seed, "start": START, "interval_minutes": 60, "tau_intervals": 6, **(parameters or {})}
    parameter_rows = make_parameter_records({**terms, "model": "three_phase"} if phased else terms, first_seq=1)
    houses = make_house_records(
        [f"h{i}" for i in range(n_houses)],
        list(range(n_houses)),
        state.ratings,
        state.own_wh,
        state.wallet_neur,
        first_seq=1 + parameter_rows.size,
        phases=np.arange(4 * n_houses).reshape(4, n_houses) % 4 if phased else (0, 0, 0, 0),
    )
    records, offsets = records_of(window, lost, phased=phased)
    return World(
        [view_as_bytes(parameter_rows), view_as_bytes(houses)],
        START + 3600 * np.arange(n_intervals),
        records,
        offsets,
        state_roots(window.accounts),
        window,
        make_demonstration_key(seed),
    )


def records_of(
    window: Window, lost_wh: npt.NDArray[np.int64], *, phased: bool = False
) -> tuple[RecordBytes, npt.NDArray[np.int64]]:
    """Exchanges, meters and a verdict for each interval, a topology for some; phases for all, if wanted."""
    n_intervals, n_houses = window.meters.shape
    parts = []
    for k in range(n_intervals):
        rows = window.rows[window.offsets[k] : window.offsets[k + 1]]
        verdict = np.zeros(1, VERDICT)
        verdict["kind"], verdict["interval"], verdict["seq"] = RecordKind.VERDICT, k, rows.size + n_houses
        verdict["losses_wh"] = lost_wh[k]
        verdict["shed_wh"] = rows["delivered_wh"][rows["kind"] == Kind.SHED].sum()
        behind = make_topology_records([(Change.GRID_OUT, 0), (Change.FORMER, k)] if k % 5 == 3 else [])
        phases = make_record(PHASES, RecordKind.PHASES, lowest_phase=1, highest_phase=3, branch_conductor=4)
        phases = phases[:phased]
        behind["interval"], behind["seq"] = k, rows.size + n_houses + 1 + len(phases) + np.arange(behind.size)
        body = [
            view_as_bytes(rows),
            view_as_bytes(window.meters[k]),
            view_as_bytes(verdict),
            number_records(phases, k, rows.size + n_houses + 1),
            view_as_bytes(behind),
        ]
        parts.append(np.concatenate(body))
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])])
    return np.concatenate(parts).reshape(-1, METER.itemsize), offsets


def begin(directory: Path, made: World) -> Ledger:
    """New ledger of a world, with the genesis block and nothing else."""
    directory.mkdir(parents=True, exist_ok=True)
    return Ledger.create(directory, made.genesis, made.key, b"before interval 0")


def append(ledger: Ledger, made: World, first: int, stop: int) -> None:
    """Append intervals first … stop - 1 as one group."""
    begin_at, end_at = made.offsets[first], made.offsets[stop]
    ledger.append(
        made.starts[first:stop],
        made.records[begin_at:end_at],
        made.offsets[first : stop + 1] - begin_at,
        made.roots[first:stop],
        b"before interval %d" % stop,
    )


def written(directory: Path, made: World, group: int = 7) -> Path:
    """Ledger of a whole world, written in groups; returns its directory."""
    n = made.starts.size
    with begin(directory, made) as ledger:
        for first in range(0, n, group):
            append(ledger, made, first, min(first + group, n))
    return directory


def busy(directory: Path) -> World:
    """A ledger with everything on it: members come, change and go; devices, grants, other batteries and operators."""
    made = world(4, 30, seed=6)
    keys = {m: make_demonstration_key(100 + m) for m in range(4)}
    with begin(directory, made) as ledger:
        chain = ledger.chain_id
        append(ledger, made, 0, 5)
        rows = [statements.register(chain, m, Role.PARTICIPANT, 1, 10, keys[m]) for m in range(3)]
        ledger.append_registry(np.concatenate(rows))
        append(ledger, made, 5, 12)
        new = make_demonstration_key(200)
        ledger.append_registry(
            np.concatenate(
                [
                    statements.grant(chain, 0, 2, keys[0], reader=1),
                    statements.log_access(chain, 1, 2, keys[1], owner=0),
                    statements.rotate(chain, 2, Role.PARTICIPANT, 2, 16, keys[2], new),
                    statements.make_device_record(
                        chain,
                        1,
                        3,
                        keys[1],
                        device=7,
                        kind=DeviceKind.BATTERY,
                        bus=2,
                        power_w=10,
                        energy_wh=0,
                        datasheet=bytes(32),
                    ),
                ]
            )
        )
        append(ledger, made, 12, 20)
        ledger.append_registry(statements.revoke(1, Role.PARTICIPANT, 4, 30))
        ratings = made.window.state.ratings
        same = make_house_records(["a"] * 4, [0] * 4, ratings, 0, 0, 0)
        ledger.append_registry(view_as_bytes(same))
        append(ledger, made, 20, 25)
        operator = make_demonstration_key(300)
        height = ledger.head().height + 1
        ledger.append_registry(statements.rotate(chain, -3, Role.OPERATOR, 1, height + 1, made.key, operator))
    with Ledger.resume(directory, operator) as ledger:
        append(ledger, made, 25, 30)
    return made
