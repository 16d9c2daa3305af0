"""What can be read of a run in which people take part; none of it waits for an interval that is being closed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from cosim.case.case import Case
from cosim.case.plugged import StatedDevice, find_device, has_own, rate_own
from cosim.errors import ScenarioError
from cosim.recording.acts import resume_stage
from cosim.recording.blocks import interval_starts
from cosim.recording.recorder import Recorder
from cosim.web.live.admission import Ranges, find_ranges
from cosim.web.live.answers import Closed
from cosim.web.live.checks import read_acts
from cosim.web.live.inbox import Inbox
from market.ledger.format.submissions import Submission
from market.ledger.store.registry import Registry, find_key_in_force, next_number


class LiveView:
    """State of a served run, from its ledger and what people have handed in.

    Attributes
    ----------
    directory
        Run directory.
    last
        The interval closed last by this process, None before the first.
    """

    def __init__(self, recorder: Recorder, inbox: Inbox, directory: Path) -> None:
        self.directory = directory
        self.last: Closed | None = None
        self._recorder, self._inbox = recorder, inbox
        self._given = recorder.case
        self._ranged: tuple[Case, bytes, Ranges] | None = None
        self._take_up(recorder)

    def _take_up(self, recorder: Recorder) -> None:
        """Go on from what the ledger holds."""
        self._recorder, self._next = recorder, recorder.next_interval
        acts, self._meters = read_acts(self.directory, recorder.next_interval)
        self._stage = resume_stage(self._given, acts, recorder.state, recorder.network, recorder.next_interval)

    @property
    def case(self) -> Case:
        """What is run, with all devices that have joined."""
        return self._stage.case

    @property
    def chain_id(self) -> bytes:
        """Name of the chain."""
        return self._recorder.ledger.chain_id

    @property
    def next_interval(self) -> int:
        """Number of the interval whose gate is open."""
        return self._next

    @property
    def ranges(self) -> Ranges:
        """What the houses can give, take and keep, with the devices that take part."""
        stage = self._stage  # once: an interval that closes replaces it
        case, network, ratings = stage.case, stage.network, stage.state.ratings
        known = b"".join(column.tobytes() for column in (network.standing, *ratings))
        ranged = self._ranged
        if ranged is None or ranged[0] is not case or ranged[1] != known:
            ranged = self._ranged = case, known, find_ranges(case, ratings, network.standing)
        return ranged[2]

    def list_own(self, house: int) -> list[StatedDevice]:
        """What a house has had from the first interval, panels and battery, as it would state that they leave."""
        case, found = self.case, []
        for kind in ("pv", "battery"):
            if not self.is_over and has_own(self._stage, self._next, house, kind):
                found.append(StatedDevice(house, kind, *rate_own(case, house, kind), number=None))
        return found

    @property
    def n_intervals(self) -> int:
        """Number of intervals of the run."""
        return self.case.n_intervals

    @property
    def is_over(self) -> bool:
        """Whether all intervals are closed."""
        return self._next >= self.n_intervals

    @property
    def next_height(self) -> int:
        """Height of the block that is written next."""
        return self._recorder.ledger.head().height + 1

    @property
    def head_hash(self) -> bytes:
        """Hash of the last block."""
        return self._recorder.ledger.head().hash

    @property
    def registry(self) -> Registry:
        """Members, their keys and grants, and devices, after the last block."""
        return self._recorder.ledger.registry

    def starts_at(self, interval: int) -> datetime:
        """Begin of an interval, UTC."""
        return datetime.fromtimestamp(int(interval_starts(self.case, np.array([interval]))[0]), UTC)

    def next_number(self, house: int) -> int:
        """Number of a house's next statement."""
        return next_number(self.registry, house)

    def next_submission_number(self, house: int) -> int:
        """Number of a house's next submission; it does not wait for an interval that is being closed."""
        return self._inbox.next_number(house)

    def count_waiting(self, house: int) -> int:
        """Submissions of a house for intervals that are not closed."""
        return self._inbox.count_waiting(house, self._next)

    def key_of(self, house: int) -> bytes | None:
        """Public key of a house that will be in force in the next block, None if it has none."""
        return find_key_in_force(self.registry, house, self.next_height, self._next)

    def is_only_registered(self, house: int, number: int | None) -> bool:
        """Whether a device stands on the ledger by its member's statement alone, and takes no part in the run."""
        known = number is not None and (house, number) in self.registry.devices
        return known and find_device(self._stage, house, number or 0) is None

    def find_submission(self, house: int, interval: int) -> Submission | None:
        """What would be applied to a house in an interval that is not closed yet; does not wait for one that closes."""
        return self._inbox.find(house, interval, self.key_of(house))

    def is_manual(self, house: int) -> bool:
        """Whether a house decides for itself: an interval without a submission of it is marked."""
        return self._inbox.is_manual(house)

    def _check_goes_on(self) -> None:
        if self.is_over:
            raise ScenarioError("the run is over: all of its intervals are closed")
