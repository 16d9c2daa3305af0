"""Write final intervals to a ledger: blocks, state roots, and the state a run resumes from.

Nothing here changes what is settled; a run in memory does without it.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cosim.case.case import Case
from cosim.case.state import NO_PLAN, NetworkState
from cosim.errors import ScenarioError
from cosim.interval.chunk import Chunk
from cosim.recording.blocks import (
    NOW,
    Form,
    interval_starts,
    make_cover,
    make_genesis_records,
    make_group_records,
    name_digests,
)
from cosim.recording.devices import make_member_records
from cosim.recording.keys import RunKeys, find_run_keys
from market.charges import Period
from market.errors import LedgerError, MarketError
from market.exchanges import FLEXIBLE
from market.ledger.crypto.keys import public_bytes
from market.ledger.format.records import RecordBytes, number_records, view_as_bytes
from market.ledger.format.submissions import Submission, make_submission_records
from market.ledger.private.commitments import derive_salt_secret
from market.ledger.private.entries import with_signatures
from market.ledger.private.hiding import hide_genesis
from market.ledger.private.vault import Entry
from market.ledger.store.registry import find_key_in_force
from market.ledger.write.ledger import Ledger, state_roots
from market.ledger.write.private import append_private, write_opening
from market.state import NO_FLEXIBLE, Lots, State
from market.storage import Ratings

logger = logging.getLogger(__name__)

_STATE_KEYS = ("own_wh", "wallet_neur", "account_neur", "pools_neur", "tally")
_FLEXIBLE = "flexible"
_NETWORK_KEYS = ("phase", "former", "pickup", "open", "standing", "plants")
"""Names of the fields of `NetworkState` in the states that a ledger keeps, but for those that follow."""
_TAP_KEYS = ("tap_pos", "tap_waited_s")
"""Those of tap changers, only where there are any."""
_PERIOD = "period_"
"""What the names of those of network charges begin with, only where there are any."""
_PLAN = "outage_plan"
"""That of the last one, which is kept only where outages are planned."""


@dataclass(frozen=True, eq=False)
class Recorder:
    """Writes chunks to a ledger, a group at a time; a context manager.

    Attributes
    ----------
    case, ledger, keys
        What is run, where it is recorded, and the keys that sign it.
    state, network, next_interval
        Where the run begins or is resumed.
    """

    case: Case
    ledger: Ledger
    keys: RunKeys
    state: State
    network: NetworkState
    next_interval: int

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.ledger.close()

    def record(self, group: Sequence[Chunk], submissions: Sequence[Submission] = ()) -> None:
        """Append the blocks of a group of chunks; durable when it returns.

        Parameters
        ----------
        group
            Consecutive chunks.
        submissions
            What was applied in the group's one interval, if people take part in it.
        """
        records, offsets = make_group_records(self.case, group, self.ledger.chain_id, self.keys.members)
        first, stop = group[0].first, group[-1].stop
        if submissions:
            stated = np.concatenate([make_submission_records(each) for each in submissions])
            records = np.concatenate([records, number_records(stated, first, len(records))])
            offsets = np.array([0, len(records)])
        starts = interval_starts(self.case, np.arange(first, stop))
        state = self.keys.seal_state(encode_state(group[-1].window.state, group[-1].network))
        accounts = np.concatenate([chunk.window.accounts for chunk in group])
        self._append(starts, records, offsets, accounts, state)
        logger.info("ledger: blocks of intervals %d to %d committed", first, stop - 1)

    def _append(
        self,
        starts: npt.NDArray[np.int64],
        records: RecordBytes,
        offsets: npt.NDArray[np.int64],
        accounts: npt.NDArray[np.int64],
        state: bytes,
    ) -> None:
        """Append blocks as the scenario demands: signed by the houses, private, both or neither."""
        ledger, keys, options = self.ledger, self.keys, self.case.scenario.ledger
        signers = find_signers(ledger, keys) if options.members_sign else None
        if options.private:
            cover, private = make_cover(self.case.scenario, accounts.shape[1] // 4), list(keys.members)
            append_private(ledger, keys.operator, private, starts, records, offsets, accounts, state, cover, signers)
            return
        if signers is not None:
            chain_id, first = ledger.chain_id, ledger.next_interval
            records, offsets = with_signatures(records, offsets, signers, chain_id, first)
        ledger.append(starts, records, offsets, state_roots(accounts), state)

    def name_digests(self) -> dict[str, str]:
        """Digests of scenario and profiles in hexadecimal, by the names and as salted as in the first block."""
        digests = name_digests(self.case.scenario, self.case.profiles.digest(), self.keys.inputs_salt)
        return {name: digest.hex() for name, digest in digests.items()}

    def head(self) -> dict[str, Any]:
        """Last block's height and hash, and the root over all blocks."""
        head = self.ledger.head()
        return {"height": head.height, "hash": head.hash.hex(), "root": head.root.hex()}


def open_recorder(case: Case, directory: Path, *, resume: bool) -> Recorder:
    """Recorder of a new ledger in `directory`, or of the one that is there.

    Raises
    ------
    ScenarioError, market.errors.LedgerError
        If the ledger cannot be made or resumed, or belongs to another scenario, or a key cannot be used.
    """
    keys = find_run_keys(case)
    genesis, opening = make_genesis(case, keys)
    if not resume:
        content = keys.seal_state(encode_state(case.opening, case.opening_network))
        ledger = Ledger.create(directory, [genesis], keys.operator, content)
        register_members(ledger, keys, opening)
        return Recorder(case, ledger, keys, case.opening, case.opening_network, 0)
    ledger = Ledger.resume(directory, keys.operator)
    try:
        check_parameters(ledger, case, keys)
        height, content = ledger.state()
        register_members(ledger, keys, opening)
        return Recorder(case, ledger, keys, *decode_state(keys.open_state(content)), height)
    except (MarketError, ScenarioError):
        ledger.close()
        raise


def find_signers(ledger: Ledger, keys: RunKeys) -> dict[int, Ed25519PrivateKey]:
    """Keys of the members that sign the next interval: those with a key in force.

    Raises
    ------
    ScenarioError
        If a member's key in force is another than the one at hand.
    """
    height, interval = ledger.head().height + 1, ledger.next_interval
    found = {}
    for member, key in keys.members.items():
        in_force = find_key_in_force(ledger.registry, member, height, interval)
        if in_force not in (None, public_bytes(key)):
            raise ScenarioError(
                f"ledger, member_keys: expected the key of member {member} that is in force in block {height}, got "
                "another; put the one that it was changed to into the folder"
            )
        if in_force is not None:
            found[member] = key
    return found


def make_genesis(case: Case, keys: RunKeys) -> tuple[RecordBytes, Mapping[int, Sequence[Entry]]]:
    """Records of the first block, (M, 72), and its private ones by the members whose stores hold them."""
    records = np.concatenate(make_genesis_records(case, keys.inputs_salt))
    if not keys.private:
        return records, {}
    return hide_genesis(records, list(keys.members), derive_salt_secret(keys.operator))


def check_parameters(ledger: Ledger, case: Case, keys: RunKeys) -> None:
    """Check that a ledger was begun with these inputs, by this version or by an earlier one.

    Raises
    ------
    market.errors.LedgerError
        If it was begun with others, or with private records by a version whose verdicts were not private.
    """

    def fits(salt: bytes, form: Form) -> bool:
        return ledger.was_begun_with(make_genesis_records(case, salt, form)[0])

    if fits(keys.inputs_salt, NOW) or fits(keys.inputs_salt, NOW._replace(waits=False)):
        return
    if keys.private and fits(b"", Form(covered=False, waits=False)):
        raise LedgerError(
            f"{ledger.directory}: expected a private ledger whose verdicts are private too, got one that an earlier "
            "version began; finish it with that version"
        )
    raise LedgerError(
        f"{ledger.directory}: expected the scenario, profiles and network the run was begun with, got others; "
        "resume with the same scenario and seed"
    )


def register_members(ledger: Ledger, keys: RunKeys, opening: Mapping[int, Sequence[Entry]]) -> None:
    """Register the members that the ledger does not know yet, in a block of its own before the first interval.

    Then private records of the first block can be written to their stores.
    """
    missing = {house: key for house, key in keys.members.items() if house not in ledger.registry.keys}
    if missing:
        effective = ledger.head().height + 2
        ledger.append_registry(make_member_records(ledger.chain_id, missing, effective))
    if opening and ledger.next_interval == 0:
        write_opening(ledger, opening)


def encode_state(state: State, network: NetworkState) -> bytes:
    """State of the market and of the network as bytes: an npz archive of arrays of numbers."""
    buffer = io.BytesIO()
    flat = {
        **{name: getattr(state, name) for name in _STATE_KEYS},
        **({_FLEXIBLE: view_as_bytes(state.flexible)} if state.flexible.size else {}),
        **{f"lots_{name}": column for name, column in state.lots._asdict().items()},
        **{f"ratings_{name}": column for name, column in state.ratings._asdict().items()},
        **{f"outage_{key}": column for key, column in zip(_NETWORK_KEYS, network[: len(_NETWORK_KEYS)], strict=True)},
        **({name: getattr(network, name) for name in _TAP_KEYS} if network.tap_pos.size else {}),
        **({_PLAN: network.plan} if network.plan.size else {}),
        **(_name_period(network.period) if network.period.peak_wh.size else {}),
    }
    np.savez(buffer, **flat)
    return buffer.getvalue()


def _name_period(period: Period) -> dict[str, npt.NDArray[np.int64]]:
    return {_PERIOD + name: column for name, column in period._asdict().items()}


def decode_state(content: bytes) -> tuple[State, NetworkState]:
    """State of the market and of the network from the bytes of `encode_state`."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        lots = Lots(*(arrays[f"lots_{name}"] for name in Lots._fields))
        ratings = Ratings(*(arrays[f"ratings_{name}"] for name in Ratings._fields))
        taps = {name: arrays[name] for name in _TAP_KEYS if name in arrays}
        network = NetworkState(*(arrays[f"outage_{key}"] for key in _NETWORK_KEYS), **taps)
        network = network._replace(plan=arrays.get(_PLAN, NO_PLAN))
        if f"{_PERIOD}sums" in arrays:
            network = network._replace(period=Period(*(arrays[_PERIOD + name] for name in Period._fields)))
        kept = {name: arrays[name] for name in _STATE_KEYS}
        flexible = arrays[_FLEXIBLE].view(FLEXIBLE).reshape(-1) if _FLEXIBLE in arrays else NO_FLEXIBLE
        return State(**kept, lots=lots, ratings=ratings, flexible=flexible), network
