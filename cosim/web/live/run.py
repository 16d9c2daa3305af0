"""A run whose intervals close one by one: until its gate closes, people submit what they want of an interval.

The interval is that of every run (`cosim.interval`), and so is the ledger. What people submit is an input beside the
profiles; who submits nothing follows its profile by the automatic rule. So a run in which nobody submits ends on the
head of `gridsettle run`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from cosim.case.acts import Act, make_switching, with_act
from cosim.case.case import Case, build_case, with_given
from cosim.case.given import GivenInputs, GivenRow, append_to_file, begin_file, sync_file
from cosim.case.plugged import Joins, is_gone, make_joining, make_leaving
from cosim.errors import ScenarioError
from cosim.interval.chunk import Chunk, join_chunks
from cosim.interval.device_requests import try_joining
from cosim.interval.fold import run_intervals
from cosim.interval.optimistic import settle_optimistically
from cosim.recording.acts import make_act_records
from cosim.recording.recorder import Recorder, open_recorder
from cosim.results.directory import check_directory, has_ledger, prepare_directory
from cosim.scenario.model import Scenario
from cosim.simulation.simulate import write_inputs
from cosim.web.live.admission import check_submission
from cosim.web.live.answers import Acknowledgement, Closed, JoinAnswer, LeaveAnswer
from cosim.web.live.checks import (
    COUPLED,
    SERVED,
    check_count,
    check_not_coupled,
    check_numbers,
    check_outages_possible,
    check_scenario,
    read_device,
)
from cosim.web.live.inbox import Inbox, Stated
from cosim.web.live.view import LiveView
from market.exchanges import SUBMISSION, Reason
from market.ledger.format.records import JOINS, Change, RecordBytes, number_records
from market.ledger.format.submissions import Submission, acknowledgement_message, mark_missing
from market.ledger.store.registry import replay_statements
from market.rules import PLUGGED_IN

MOST_UNWRITTEN = 256
"""Intervals that wait for the ledger at most."""


class LiveRun(LiveView):
    """A run in which people take part; a context manager, made by `LiveRun.open`.

    Every method may be called from any thread; one at a time is served.
    """

    def __init__(self, recorder: Recorder, inbox: Inbox, directory: Path) -> None:
        super().__init__(recorder, inbox, directory)
        self._waiting: list[Chunk] = []
        self._lock, self._gate, self._is_sound = threading.RLock(), threading.RLock(), True

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Write to the ledger. After an error nobody knows how much of it is on the disk: then that is read again."""
        with self._lock:
            if not self._is_sound:
                self._recorder.ledger.close()
                self._waiting = []
                self._take_up(open_recorder(self._given, self.directory, resume=True))
                self._is_sound = True
            self._is_sound = False
            yield
            self._is_sound = True

    @classmethod
    def open(cls, scenario: Scenario, directory: Path, *, coupled: bool = False) -> LiveRun:
        """Begin a served run in a new directory, or go on with the one in it.

        Parameters
        ----------
        scenario, directory
            What is run, and where.
        coupled
            Whether another simulator gives inputs; such a run always begins anew.

        Raises
        ------
        ScenarioError, data.errors.DataError, grid_models.errors.GridError, market.errors.MarketError
            If an input cannot be used, or the directory holds something else.
        """
        check_scenario(scenario, COUPLED if coupled else SERVED)
        check_not_coupled(directory)
        resume = has_ledger(directory) and not coupled
        check_directory(directory, resume=resume)
        case = build_case(scenario)
        if coupled:
            case = with_given(case, GivenInputs(case.profiles))
        prepare_directory(directory, resume=resume)
        if case.mechanism.code != PLUGGED_IN:
            settle_optimistically(case, case.opening, 0, 1)  # compiled before anyone waits for it
        recorder = open_recorder(case, directory, resume=resume)
        try:
            write_inputs(case, directory)
            if coupled:
                begin_file(directory)
            return cls(recorder, Inbox(directory), directory)
        except BaseException:
            recorder.ledger.close()
            raise

    def __enter__(self) -> LiveRun:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close ledger and inbox; a run that is not over can be opened again."""
        with self._lock:
            try:
                self.flush()
            finally:
                self._inbox.close()
                self._recorder.ledger.close()

    def flush(self) -> None:
        """Write the intervals that wait for it to the ledger, as one group.

        Raises
        ------
        LedgerError
            If they cannot be written.
        """
        with self._lock:
            if self._waiting and self._is_sound:
                with self._writing():
                    self._record(self._waiting, [])
                    self._waiting = []

    def state_statement(self, records: RecordBytes) -> int:
        """Append a block with statements of members; returns its height.

        Raises
        ------
        LedgerError
            If one is not admissible; then nothing is written.
        """
        with self._lock:
            self.flush()
            check_numbers(self.registry, records)
            self._check_admissible(records)
            with self._writing():
                self._recorder.ledger.append_registry(records)
            return self._recorder.ledger.head().height

    def _check_admissible(self, records: RecordBytes) -> None:
        """Raise LedgerError if the ledger would not take statements, before anything is written."""
        numbered = number_records(records, self._next)
        replay_statements(self.registry, numbered, self.chain_id, self.next_height)

    def register_device(self, records: RecordBytes) -> JoinAnswer:
        """Try a device that its member wants to join, and take it in if the network can carry it.

        Parameters
        ----------
        records
            The member's signed `DEVICE` statement, (M, 72).

        Raises
        ------
        ScenarioError, LedgerError
            If it is no such statement, not at the house's bus, or of a kind that cannot join.
        """
        with self._acting():
            status, stated = read_device(self.case, records)
            if status != JOINS:
                raise ScenarioError(f"device: expected a statement that it joins (1), got status {status}")
            check_count(self.case, self.registry, stated.house)
            device = make_joining(self.case, stated)
            event = None if self.last is None else self.last.chunk.event
            if self.last is None and not self._stage.network.is_normal:
                raise ScenarioError("device: expected an interval to have closed since the server began, wait for one")
            reason, element = try_joining(self.case, device, self._meters, event, self._stage.fresh)
            if reason != Reason.NONE:
                return JoinAnswer(reason, element, -1)
            return JoinAnswer(reason, element, self._carry_out(Joins(self._next, device), records))

    def withdraw_device(self, records: RecordBytes) -> LeaveAnswer:
        """Let a device leave that its member has registered, or has had from the first interval.

        One that was registered but takes no part in the run is no longer registered, and nothing else changes.

        Parameters
        ----------
        records
            The member's signed `DEVICE` statement, (M, 72).

        Raises
        ------
        ScenarioError, LedgerError
            If it is no such statement, or the device is not there.
        """
        with self._acting():
            status, stated = read_device(self.case, records)
            if status == JOINS:
                raise ScenarioError("device: expected a statement that it leaves (2 or 3), got one that it joins")
            if self.is_only_registered(stated.house, stated.number):
                return LeaveAnswer(self.state_statement(records), 0, waits=False)
            before, act = self._stage, make_leaving(self._stage, self._next, stated)
            height, after = self._carry_out(act, records), self._stage
            moved = before.state.own_wh[act.house] - after.state.own_wh[act.house]
            return LeaveAnswer(height, int(moved), waits=not is_gone(after, act))

    @contextmanager
    def _acting(self) -> Iterator[None]:
        """Do something between two intervals, from what is on the disk, while the run is not over."""
        with self._lock:
            self.flush()
            self._read_again()
            self._check_goes_on()
            yield

    def _read_again(self) -> None:
        """After an error in writing, go on from what the ledger holds."""
        if not self._is_sound:
            with self._writing():
                pass

    def _carry_out(self, act: Act, stated: RecordBytes | None = None) -> int:
        """Record an act, with what its member has stated, and go on with what follows from it."""
        stage = with_act(self._stage, act)
        determined = make_act_records(self._stage, stage, act)
        height = self.state_statement(determined if stated is None else np.concatenate([stated, determined]))
        self._stage = stage
        return height

    def switch(self, change: Change, element: int, *, opens: bool) -> int:
        """Open a line, a switch or the connection to the grid from the next interval on, or close it again.

        Returns
        -------
        int
            Height of the block that holds the command.

        Raises
        ------
        ScenarioError, grid_models.errors.GridError
            If there is no such element, or it is open, or closed, already.
        """
        with self._acting():
            command = make_switching(self.case, self._next, change, element, opens=opens)
            if opens:
                check_outages_possible(with_act(self._stage, command).case)
            return self._carry_out(command)

    def keep_cosignatures(self, note: str) -> None:
        """Keep a checkpoint that witnesses have cosigned.

        Raises
        ------
        LedgerError
            If it cannot be kept.
        """
        self.flush()
        with self._writing():
            self._recorder.ledger.keep_cosignatures(note)

    def submit(self, record: bytes, signature: bytes) -> Acknowledgement:
        """Take a submission; it is on the disk, and its promise signed, when this returns.

        Parameters
        ----------
        record, signature
            The `SUBMISSION` record, 72 bytes, and its member's signature, 64.

        Raises
        ------
        SubmissionError
            If it cannot be taken; the message is for the person.
        """
        with self._gate:
            key = check_submission(self.case, record, signature, self)
            number = self._inbox.add(Stated(Submission(record, signature), key))
        self._inbox.commit(number)
        message = acknowledgement_message(self.chain_id, record)
        return Acknowledgement(record, self._recorder.keys.operator.sign(message))

    def set_manual(self, house: int, *, manual: bool) -> None:
        """Let a house decide for itself, or leave it to the automatic rule again."""
        with self._gate:
            self._inbox.set_manual(house, manual=manual, interval=self._next)

    def close_interval(self, given: GivenRow | None = None, *, durable: bool = True) -> Closed:
        """Close the gate of the next interval, run it and record it.

        Parameters
        ----------
        given
            What a coupled run is run with in place of the profiles; the profiles' own if left out.
        durable
            Whether its block is on the disk when this returns. Else it is written with the next that is, as `flush`
            does, and its hash is not known yet.

        Raises
        ------
        ScenarioError
            If the run is over, or what is given cannot be used.
        """
        with self._lock:
            self._read_again()
            with self._gate:
                self._check_goes_on()
                if durable or self._inbox.houses() or len(self._waiting) >= MOST_UNWRITTEN:
                    self.flush()  # what is submitted has a block by itself
                t, applied = self._next, self._list_applied(self._next)
                self._inbox.commit()  # what is applied must not be forgotten
                self._take_given(t, given)
                self._next = t + 1  # from here on people submit for the next one, while this one is run
            try:
                with self._writing():
                    return self._run(t, applied, durable=durable or bool(applied))
            except BaseException:
                self._next = t  # until the ledger is read again, with the next thing that is written
                raise

    def _take_given(self, interval: int, row: GivenRow | None) -> None:
        """Keep what is given of an interval before it is run."""
        if row is None:
            return
        if self.case.given is None:
            raise ScenarioError("expected a coupled run, to which inputs may be given, got a served one")
        if self.case.given.add(interval, row):
            append_to_file(self.directory, interval, row)

    def _run(self, t: int, applied: list[Submission], *, durable: bool) -> Closed:
        """Run an interval whose gate is closed, and record it or let it wait."""
        stage = self._stage
        (chunk,) = run_intervals(self._with(applied, t), stage.state, t, stage.network, stop=t + 1)
        if durable:
            self._record([chunk], applied)
        else:
            self._waiting.append(chunk)
        self._stage = stage._replace(state=chunk.window.state, network=chunk.network, fresh=())
        self._meters = chunk.window.meters
        with self._gate:
            self._inbox.forget_before(t + 1)
        head, late = (
            self._recorder.ledger.head(),
            tuple(int(each.row["house"]) for each in applied if not each.signature),
        )
        height, known = head.height + len(self._waiting), head.hash if durable else b""
        self.last = Closed(t, self.starts_at(t), height, known, chunk, late)
        return self.last

    def _record(self, chunks: Sequence[Chunk], applied: Sequence[Submission]) -> None:
        if self.case.given is not None and self.case.given.rows:
            sync_file(self.directory)  # what was used must not be lost where its meters are not
        replace(self._recorder, case=self._stage.case).record(join_chunks(chunks), applied)

    def _list_applied(self, interval: int) -> list[Submission]:
        """What is applied to an interval: submissions that hold, and marks where a house was to submit and did not."""
        found = []
        for house in sorted(self._inbox.houses()):
            key = self.key_of(house)
            stated = self._inbox.find(house, interval, key)
            if stated is not None:
                found.append(stated)
            elif key is not None and self._inbox.is_manual(house):
                found.append(mark_missing(house, interval))
        return found

    def _with(self, applied: list[Submission], interval: int) -> Case:
        if not applied:
            return self.case
        spread = np.zeros(self.case.inputs.load_wh.shape, SUBMISSION)  # pages that are not written take no memory
        for each in applied:
            spread[interval, int(each.row["house"])] = each.row
        return replace(self.case, inputs=self.case.inputs._replace(submissions=spread))
