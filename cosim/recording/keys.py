"""Keys that a run signs with: those its scenario names, else demonstration keys of its seed, which prove nothing."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cosim.case.case import Case
from cosim.errors import ScenarioError
from cosim.recording.devices import list_device_owners
from cosim.scenario.model import Scenario
from market.ledger.crypto.keys import public_bytes, read_private_key
from market.ledger.crypto.sealed import seal, unseal
from market.ledger.format.header import make_demonstration_key
from market.ledger.private.commitments import LEAST_PRIVATE, derive_inputs_salt, derive_salt_secret

STATE_STEP = 1 << 16
"""The length of a sealed state is a multiple of it, bytes."""


class RunKeys(NamedTuple):
    """Keys of a run: the operator's, and those of the houses that are members.

    `private` says whether the state that a run resumes from is sealed to the operator.
    """

    operator: Ed25519PrivateKey
    members: dict[int, Ed25519PrivateKey]
    private: bool

    @property
    def inputs_salt(self) -> bytes:
        """Salt of the digests of a private run's inputs; empty in others."""
        return derive_inputs_salt(derive_salt_secret(self.operator)) if self.private else b""

    def seal_state(self, state: bytes) -> bytes:
        """State as the ledger stores it: sealed to the operator if records are private.

        A sealed one is filled up, since its length would tell how many lots there are.
        """
        if not self.private:
            return state
        sized = len(state).to_bytes(8, "little") + state
        return seal(sized.ljust(-(-len(sized) // STATE_STEP) * STATE_STEP, b"\0"), public_bytes(self.operator))

    def open_state(self, state: bytes) -> bytes:
        """State as it was before `seal_state`."""
        if not self.private:
            return state
        sized = unseal(state, self.operator)
        return sized[8 : 8 + int.from_bytes(sized[:8], "little")]


def find_run_keys(case: Case) -> RunKeys:
    """Keys of a run. All houses are members if records are private or signed, else those whose devices join or leave.

    Raises
    ------
    ScenarioError, market.errors.LedgerError
        If a key file cannot be used, or there are too few houses for private records.
    """
    options, n_houses = case.scenario.ledger, int(case.opening.own_wh.size)
    if options.private and n_houses < LEAST_PRIVATE:
        raise ScenarioError(
            f"ledger, private: expected at least {LEAST_PRIVATE} participants, got {n_houses}; the sum over fewer "
            "would give them away"
        )
    members = range(n_houses) if options.private or options.members_sign else list_device_owners(case)
    return RunKeys(find_operator_key(case.scenario), find_member_keys(case.scenario, members), options.private)


def find_operator_key(scenario: Scenario) -> Ed25519PrivateKey:
    """The operator's key: from the file that the scenario names, else the demonstration key.

    Raises
    ------
    market.errors.LedgerError
        If the key file cannot be used.
    """
    path = scenario.ledger.operator_key
    return make_demonstration_key(scenario.seed) if path is None else read_private_key(path)


def find_member_keys(scenario: Scenario, houses: Sequence[int]) -> dict[int, Ed25519PrivateKey]:
    """Keys of some houses, from the files `member-000.key`, `member-001.key`, … of the folder the scenario names.

    Raises
    ------
    ScenarioError, market.errors.LedgerError
        If a key file is missing or cannot be used.
    """
    folder = scenario.ledger.member_keys
    if folder is None:
        return {house: make_participant_key(scenario.seed, house) for house in houses}
    files = {house: folder / f"member-{house:03d}.key" for house in houses}
    if missing := [path for path in files.values() if not path.exists()]:
        raise ScenarioError(
            f"ledger, member_keys: expected a key for each of {len(files)} members, found none at {missing[0]}; "
            f"make them with: gridsettle ledger init {folder} --members {max(houses) + 1}"
        )
    return {house: read_private_key(path) for house, path in files.items()}


def make_participant_key(seed: int, house: int) -> Ed25519PrivateKey:
    """Demonstration key of a house; everybody can derive it, so it proves nothing."""
    text = b"gridsettle demonstration participant key\0%d %d" % (seed, house)
    return Ed25519PrivateKey.from_private_bytes(sha256(text).digest())
