"""A run that another program steps: it gives one interval's inputs, and gets what became of the interval.

What is not given follows the profiles of the scenario. The intervals are closed by `LiveRun`, as those of a served
market are; so a run to which nothing else is given than its own profiles ends on the head of `gridsettle run`.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cosim.case.case import Case
from cosim.case.plugged import StatedDevice, make_joining
from cosim.coupling.inputs import IntervalInputs, check_rating, find_house, make_row, number_limits
from cosim.curtailment.feasible import Outcome
from cosim.delivery.setpoints import injection_wh, mean_kw
from cosim.delivery.volt_watt import is_reduced
from cosim.errors import ScenarioError
from cosim.interval.chunk import Chunk
from cosim.recording.keys import find_member_keys
from cosim.results.directory import has_ledger
from cosim.results.result import Result
from cosim.scenario.model import Scenario
from cosim.simulation.simulate import run
from cosim.web.live.answers import Closed
from cosim.web.live.run import LiveRun
from grid_models.arrays import Floats
from market.exchanges import AUTOMATIC, STATED, SUBMISSION, Ask, Kind, Reason
from market.ledger.format.records import Change, DeviceKind, RecordKind, Role, make_record
from market.ledger.format.statements import make_device_record, register
from market.ledger.format.submissions import Submission, submission_message
from market.storage import Wh

_SOLD = (Kind.P2P, Kind.SHARE_USE, Kind.SHARE_STORE, Kind.LOT_SALE, Kind.GRID_EXPORT)
"""Exchanges that the network may curtail."""


class SteppedInterval(NamedTuple):
    """What became of an interval; arrays are in the order of participants, buses and branches of the network.

    Attributes
    ----------
    interval, start
        Its number, and its begin, UTC.
    outcome
        `clean`, `curtailed`, `shed`, …: how the exchanges became what the network carries.
    p_kw
        Mean power that each house injects at its bus, (N,); negative where it draws.
    vm_pu
        Voltages, (B, conductors): one column in a balanced model, else phases a, b, c; NaN without supply.
    loading_percent
        Highest loading of a conductor of each line, then of each transformer, (L + R,).
    p_grid_kw
        Power from the grid into the feeder.
    price_ueur_per_kwh, utility_ueur_per_kwh
        Price of trades among the houses, and of the utility.
    bought_wh, sold_wh, curtailed_wh, shed_wh
        What each house bought from others and sold to them; what it sold and the network did not carry; what it was
        not served, (N,).
    block_hash
        Hash of its block in hexadecimal; None where the block is not written yet, see `SteppedRun.head`.
    """

    interval: int
    start: datetime
    outcome: str
    p_kw: Floats
    vm_pu: Floats
    loading_percent: Floats
    p_grid_kw: float
    price_ueur_per_kwh: int
    utility_ueur_per_kwh: int
    bought_wh: Wh
    sold_wh: Wh
    curtailed_wh: Wh
    shed_wh: Wh
    block_hash: str | None


class SteppedRun:
    """A run of a scenario that is stepped from outside; a context manager, made by `SteppedRun.open`.

    Examples
    --------
    >>> import tempfile
    >>> scenario = Scenario().with_changes(horizon={"hours": 2})
    >>> with SteppedRun.open(scenario, tempfile.mkdtemp()) as stepped:
    ...     house = stepped.houses[0]
    ...     first = stepped.run_interval(IntervalInputs(load_wh={house: 1500}))
    ...     second = stepped.run_interval()
    >>> first.outcome, second.interval
    ('clean', 1)
    """

    def __init__(self, live: LiveRun) -> None:
        self.live = live
        self.directory = live.directory
        self._signing = dict[int, Ed25519PrivateKey]()
        self._is_broken = False

    @classmethod
    def open(cls, scenario: Scenario, out: str | Path) -> SteppedRun:
        """Begin a run that is stepped from outside, in a new or empty directory.

        Raises
        ------
        ScenarioError, data.errors.DataError, grid_models.errors.GridError, market.errors.MarketError
            If an input cannot be used, the directory holds something, or the scenario asks for what such a run cannot
            do: private ledgers, houses that sign, envelopes, a series of the head, P(V), tap changers, outages that are
            dispatched ahead.
        """
        directory = Path(out)
        if has_ledger(directory):
            raise ScenarioError(
                f"{directory}: expected an empty or new directory, found a run; a coupled run begins anew each time, "
                "choose another directory"
            )
        return cls(LiveRun.open(scenario, directory, coupled=True))

    def __enter__(self) -> SteppedRun:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Write what waits, and close the ledger."""
        self.live.close()

    @property
    def case(self) -> Case:
        """What is run."""
        return self.live.case

    @property
    def houses(self) -> tuple[str, ...]:
        """Names of the participants."""
        return self.live.case.profiles.participants

    @property
    def next_interval(self) -> int:
        """Number of the interval that is run next."""
        return self.live.next_interval

    @property
    def is_over(self) -> bool:
        """Whether all intervals are run."""
        return self.live.is_over

    def run_interval(self, inputs: IntervalInputs | None = None, *, durable: bool = True) -> SteppedInterval:
        """Run the next interval.

        Parameters
        ----------
        inputs
            What another simulator gives; all follows the profiles if left out.
        durable
            Whether the interval's block is to be on the disk when this returns. Else up to 256 blocks wait and are
            written together, which is many times as fast: with the next durable interval, `head`, or `close`.

        Raises
        ------
        ScenarioError
            If the run is over, or an input is none that the interval can be run with. Nothing is run then.
        """
        if self._is_broken:
            raise ScenarioError(
                f"{self.directory}: expected a run that goes on, got one that an error ended; begin anew"
            )
        t = self.next_interval
        if self.is_over:
            raise ScenarioError(f"interval {t}: expected one of 0 to {t - 1}, the run is over")
        given, row, limits = self.case.given, None, dict[int, int]()
        if inputs is not None and given is not None:
            row, limits = make_row(self.case, given, t, inputs), number_limits(self.case, t, inputs)
            check_rating(self.case, t, row.pv_wh, given.profile(t).pv_wh)
        self._is_broken = True  # until all of it is done
        for house, limit in limits.items():
            self._submit_limit(t, house, limit)
        closed = self.live.close_interval(row, durable=durable)
        self._is_broken = False
        return self._describe(closed)

    def switch_grid(self, *, opens: bool) -> None:
        """Take the grid away from the next interval on, or bring it back.

        Raises
        ------
        ScenarioError, grid_models.errors.GridError
            If it is away, or there, already.
        """
        self.live.switch(Change.GRID_OUT, 0, opens=opens)

    def switch_line(self, index: int, *, opens: bool) -> None:
        """Take a line out of service from the next interval on, or bring it back.

        Raises
        ------
        ScenarioError, grid_models.errors.GridError
            If there is none of this index in the network, or it is so already.
        """
        self.live.switch(Change.LINE_OUT, index, opens=opens)

    def plug(self, house: str, kind: str, power_w: int, energy_wh: int = 0) -> str:
        """Plug a device in at a house from the next interval on, if the network can carry it.

        Parameters
        ----------
        house
            Name of the participant, in whose name the key that the scenario has for it signs.
        kind
            `pv` or `battery`.
        power_w, energy_wh
            Rated power, and capacity of a battery, of the scenario's kind.

        Returns
        -------
        str
            Empty if it takes part; else the reason in lower case, such as `overvoltage`.

        Raises
        ------
        ScenarioError
            If it is no such device, or there is no such house.
        """
        if kind not in ("pv", "battery"):
            raise ScenarioError(f"device: expected pv or battery, got '{kind}'")
        k, live = find_house(self.case, self.next_interval, "device", house), self.live
        make_joining(self.case, StatedDevice(k, kind, power_w, energy_wh))  # before anything is written
        key, number = self._find_key(k), live.next_number(k)
        stated = make_device_record(
            live.chain_id,
            k,
            number,
            key,
            device=number,
            kind=DeviceKind[kind.upper()],
            bus=int(self.case.feeder.bus[k]),
            power_w=power_w,
            energy_wh=energy_wh,
            datasheet=bytes(32),
        )
        answer = live.register_device(stated)
        return "" if answer.reason == Reason.NONE else Reason(answer.reason).name.lower()

    def head(self) -> str:
        """Hash of the last block in hexadecimal, once everything that waits is written."""
        self.live.flush()
        return self.live.head_hash.hex()

    def finish(self) -> Result:
        """Close a run that is over and make its tables and summary, as `gridsettle run --resume` does.

        Raises
        ------
        ScenarioError
            If intervals are left.
        """
        if not self.is_over:
            n = self.case.n_intervals
            raise ScenarioError(
                f"{self.directory}: expected all {n} intervals to be run, got {self.next_interval}; shorten "
                "horizon.hours of the scenario, or run on"
            )
        self.close()
        return run(self.live.case.scenario, self.directory, resume=True)

    def _submit_limit(self, t: int, house: int, limit: int) -> None:
        """State a limit price in the house's name."""
        key, live = self._find_key(house), self.live
        number = live.next_submission_number(house)
        live.submit(*make_limit(live.chain_id, key, house, number, t, limit))

    def _find_key(self, house: int) -> Ed25519PrivateKey:
        """Key that the scenario has for a house, which is registered with it from now on."""
        live = self.live
        if house not in self._signing:
            (key,) = find_member_keys(self.case.scenario, [house]).values()
            live.flush()
            if live.key_of(house) is None:
                number, effective = live.next_number(house), live.next_height + 1
                live.state_statement(register(live.chain_id, house, Role.PARTICIPANT, number, effective, key))
            self._signing[house] = key
        return self._signing[house]

    def _describe(self, closed: Closed) -> SteppedInterval:
        chunk, case, t = closed.chunk, self.case, closed.interval
        meters = chunk.window.meters
        price = case.profiles.price_ueur_per_kwh[t]
        if case.given is not None and t in case.given.rows:
            price = case.given.rows[t].price_ueur_per_kwh
        return SteppedInterval(
            t,
            closed.start,
            Outcome(int(chunk.outcome[0])).name.lower(),
            mean_kw(injection_wh(meters)[0], case.interval_minutes),
            chunk.flow.vm_pu[0].reshape(-1, len(case.feeder.conductors("bus"))),
            list_loadings(case, chunk),
            float(chunk.flow.p_grid_kw[0]),
            int(chunk.window.price_ueur_per_kwh[0]),
            int(price),
            meters["bought_wh"][0].astype(np.int64),
            meters["sold_wh"][0].astype(np.int64),
            sum_curtailed(chunk),
            meters["shed_wh"][0].astype(np.int64),
            closed.hash.hex() or None,
        )


def make_limit(
    chain_id: bytes, key: Ed25519PrivateKey, house: int, number: int, interval: int, limit_ueur_per_kwh: int
) -> Submission:
    """A house's submission that leaves all to the rules but the price that it would pay, signed by its key."""
    record = make_record(
        SUBMISSION,
        RecordKind.SUBMISSION,
        status=STATED,
        house=house,
        net_wh=AUTOMATIC,
        ask=Ask.BY_RULE,
        limit_ueur_per_kwh=limit_ueur_per_kwh,
        number=number,
        first=interval,
        last=interval,
    ).tobytes()
    return Submission(record, key.sign(submission_message(chain_id, record)))


def list_loadings(case: Case, chunk: Chunk) -> Floats:
    """Highest loading of a conductor of each line, then of each transformer, (L + R,) %."""
    flow = chunk.flow
    sides = (flow.line_loading_percent[0], "line"), (flow.trafo_loading_percent[0], "trafo")
    columns = [values.reshape(-1, len(case.feeder.conductors(table))) for values, table in sides]
    return np.concatenate([each.max(axis=1, initial=0.0) for each in columns])


def sum_curtailed(chunk: Chunk) -> npt.NDArray[np.int64]:
    """What each house would have sold by the market and the network did not carry, (N,) Wh.

    A lot counts for the house whose battery delivers it, as in the table `curtailed_by_house`.
    """
    rows = chunk.window.rows[: int(chunk.window.offsets[-1])]
    rows = rows[np.isin(rows["kind"], _SOLD) & ~is_reduced(rows)]
    cut = np.zeros(chunk.window.meters.shape[1], np.int64)
    house = np.where(rows["kind"] == Kind.LOT_SALE, rows["host"], rows["seller"])
    inside = house >= 0
    np.add.at(cut, house[inside], (rows["cleared_wh"] - rows["delivered_wh"])[inside])
    return cut
