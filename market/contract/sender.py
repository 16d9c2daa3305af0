"""Carry transactions out: number, fees, replacement of what waits too long, confirmations, and reorganised blocks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from math import inf
from typing import NamedTuple

from market.contract.accounts import Account
from market.contract.chain import Chain, Contract, Receipt, RevertedError
from market.contract.rpc import NodeError, RefusedError
from market.contract.transactions import (
    GWEI,
    LEAST_GAS,
    MOST_GAS,
    MOST_NONCE,
    MOST_VERSIONS,
    Draft,
    Sent,
    check_fees,
    choose_fees,
    raise_fees,
    sign,
)
from market.errors import ChainError

logger = logging.getLogger(__name__)

_KNOWN = ("already known", "known transaction", "already imported", "already exists", "already in pool")
_STALE = ("nonce too low", "nonce is too low", "old nonce", "invalid nonce")
_CHEAP = ("underpriced", "fee too low", "gas price too low")
_BUMPS = 8
"""Times that fees are raised at once for a node that finds them too low."""
_SWEEP_S = 10.0
"""Seconds in which all versions are asked for a last time."""


class LostError(ChainError):
    """Another transaction has the number of this one: it will never be carried out."""


class SlowError(ChainError):
    """A transaction is not confirmed yet; it may still be."""


class Pace(NamedTuple):
    """How long is waited.

    Attributes
    ----------
    confirmations
        Blocks that a transaction must have, its own counted.
    soon_s, poll_s
        Seconds between the first two questions, and at most between two; they are doubled from one to the other.
    replace_after_s, patience_s
        Seconds until a waiting transaction is replaced by one with higher fees, and in all.
    now, sleep
        The clock.
    """

    confirmations: int = 3
    soon_s: float = 0.05
    poll_s: float = 2.0
    replace_after_s: float = 120.0
    patience_s: float = 900.0
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def _drop(_: Sent) -> None:
    """Keep nothing."""


class Sender:
    """Sends transactions of one account.

    Parameters
    ----------
    chain, account
        Where, and who signs.
    pace
        How long is waited.
    max_fee
        Most that may be paid for gas, wei per gas.
    """

    def __init__(self, chain: Chain, account: Account, pace: Pace | None = None, max_fee: int = 500 * GWEI) -> None:
        self.chain, self.account, self.pace, self.max_fee = chain, account, pace or Pace(), max_fee

    def prepare(self, to: str | None, data: bytes, contract: Contract | None, what: str) -> Sent:
        """Sign a transaction; nothing is sent yet.

        Parameters
        ----------
        to, data
            Receiver, None to make a contract, and what is sent to it.
        contract, what
            Whose reasons are told if it refuses, and what it would refuse.

        Raises
        ------
        RevertedError
            If the contract would refuse it.
        ChainError
            If fees are above what is allowed, or the account cannot pay.
        """
        fields = {"from": self.account.address, "data": f"0x{data.hex()}"} | ({} if to is None else {"to": to})
        try:
            estimate = self.chain.estimate_gas(fields)
        except RefusedError as reason:
            told = self._explain(reason)
            raise told if contract is None or told is not reason else contract.explain(reason, what) from None
        gas = min(estimate + estimate // 4, MOST_GAS)
        self._check_range(f"gas for {what}", estimate, LEAST_GAS, MOST_GAS)
        fees = choose_fees(self.chain)
        check_fees(fees, self.max_fee, self.chain)
        self._check_funds(gas * fees.price)
        nonce = self.chain.nonce(self.account.address, "pending")
        self._check_range(f"transactions of {self.account.address}", nonce, 0, MOST_NONCE)
        draft = Draft(to, data, gas, nonce)
        return Sent(draft, (sign(self.account, self.chain.chain_id, draft, fees),))

    def settle(self, sent: Sent, keep: Callable[[Sent], None] = _drop) -> Receipt:
        """Hand a transaction in, and wait until it is confirmed.

        Parameters
        ----------
        sent
            As prepared now, or before a crash: the same number is never used twice.
        keep
            Called with it before it, or a version with higher fees, is handed in.

        Raises
        ------
        RevertedError
            If it was carried out and refused.
        LostError
            If another transaction has its number.
        SlowError
            If it takes too long.
        """
        keep(sent)
        since = self.pace.now()
        until, pause_s = since + self.pace.patience_s, self.pace.soon_s
        while True:
            receipt, depth = self.find(sent, until)
            if receipt is not None and not receipt.ok:
                raise RevertedError(
                    f"transaction 0x{sent.newest.hash.hex()}: refused{self._find_reason(sent, receipt)}"
                )
            if receipt is not None and depth >= self.pace.confirmations:
                return receipt
            if receipt is None:
                sent, since = self._push(sent, since, keep, until)
            if self.pace.now() > until:
                raise SlowError(self._describe_wait(sent, depth))
            self.pace.sleep(pause_s)
            pause_s = min(2 * pause_s, self.pace.poll_s)

    def find(self, sent: Sent, until: float = inf) -> tuple[Receipt | None, int]:
        """Receipt of whichever version was carried out, and its confirmations; None if its block is no longer one.

        Raises
        ------
        SlowError
            If it takes longer than until `until`, or than some seconds if that is past.
        """
        latest = max(until, self.pace.now() + _SWEEP_S)
        for version in reversed(sent.versions):
            if self.pace.now() > latest:
                raise SlowError(self._describe_wait(sent, 0))
            receipt = self.chain.receipt(version.hash)
            if receipt is None:
                continue
            head = self.chain.block().number
            if receipt.block <= head and self.chain.block(receipt.block).hash == receipt.block_hash:
                return receipt, head - receipt.block + 1
        return None, 0

    def _push(self, sent: Sent, since: float, keep: Callable[[Sent], None], until: float) -> tuple[Sent, float]:
        """See to it that a transaction without a block waits for one, with fees that are high enough."""
        self._check_not_lost(sent, until)
        if not self.chain.knows(sent.newest.hash):
            return self._hand_in(sent, keep), self.pace.now()
        if self.pace.now() - since < self.pace.replace_after_s:
            return sent, since
        raised = self._raise(sent)
        if raised is None:
            return sent, self.pace.now()
        logger.info("transaction 0x%s waits too long; replaced with higher fees", sent.newest.hash.hex())
        keep(raised)
        return self._hand_in(raised, keep), self.pace.now()

    def _check_not_lost(self, sent: Sent, until: float) -> None:
        number, address = sent.draft.nonce, self.account.address
        if self.chain.nonce(address) > number and self.find(sent, until)[0] is None:
            raise LostError(f"{address}: expected number {number} for this transaction, another one has it")
        if self.chain.nonce(address, "pending") < number:
            raise LostError(f"{address}: expected transactions before number {number}, they are lost")

    def _hand_in(self, sent: Sent, keep: Callable[[Sent], None]) -> Sent:
        for _ in range(_BUMPS):
            check_fees(sent.newest.fees, self.max_fee, self.chain)  # it may have been signed when more was allowed
            try:
                self.chain.send(sent.newest.raw)
                return sent
            except RefusedError as reason:
                said = reason.reason.lower()
                if any(word in said for word in (*_KNOWN, *_STALE)):
                    return sent  # what became of it the chain says
                raised = self._raise(sent) if any(word in said for word in _CHEAP) else None
                if raised is None:
                    raise self._explain(reason) from None
            sent = raised
            keep(sent)
        raise ChainError(f"{self.chain.rpc.name}: expected fees of {sent.newest.fees.price / GWEI:g} gwei to be enough")

    def _raise(self, sent: Sent) -> Sent | None:
        """The transaction with higher fees; None if they would be above what is allowed."""
        if len(sent.versions) >= MOST_VERSIONS:
            logger.warning("transaction 0x%s has %d versions, it gets no more", sent.newest.hash.hex(), MOST_VERSIONS)
            return None
        fees = raise_fees(sent.newest.fees, choose_fees(self.chain))
        if fees.price > self.max_fee:
            logger.warning("fees of %g gwei would be needed, more than --max-fee allows", fees.price / GWEI)
            return None
        return Sent(sent.draft, (*sent.versions, sign(self.account, self.chain.chain_id, sent.draft, fees)))

    def _check_range(self, what: str, found: int, least: int, most: int) -> None:
        if not least <= found <= most:
            raise NodeError(f"{self.chain.rpc.name}: expected {least:,} to {most:,} {what}, got {found:,}")

    def _check_funds(self, cost: int) -> None:
        held = self.chain.balance(self.account.address)
        if held < cost:
            raise ChainError(
                f"{self.account.address}: expected at least {cost / 1e18:.6f} of the chain's coin for fees, found "
                f"{held / 1e18:.6f}; send some to this account"
            )

    def _explain(self, reason: RefusedError) -> ChainError:
        if "insufficient funds" not in reason.reason.lower():
            return reason
        return ChainError(f"{self.account.address}: expected enough coin for fees, found too little; send some to it")

    def _find_reason(self, sent: Sent, receipt: Receipt) -> str:
        """Why a transaction was refused, in words: it is called again as of the block before."""
        draft = sent.draft
        fields = {"from": self.account.address, "data": f"0x{draft.data.hex()}", "gas": hex(draft.gas)}
        try:
            self.chain.call(fields | ({} if draft.to is None else {"to": draft.to}), receipt.block - 1)
        except RefusedError as reason:
            return f": {reason.reason}" + (f", 0x{reason.data[:68].hex()}" if reason.data else "")
        return " without a reason" if receipt.gas < draft.gas else f": its {draft.gas:,} gas were not enough"

    def _describe_wait(self, sent: Sent, depth: int) -> str:
        what, seconds = f"transaction 0x{sent.newest.hash.hex()}", self.pace.patience_s
        found = f"{depth} of {self.pace.confirmations} confirmations" if depth else "no block that holds it"
        return f"{what}: expected {self.pace.confirmations} confirmations within {seconds:g} s, found {found}"
