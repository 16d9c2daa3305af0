"""What is asked of a chain, every answer checked before it is used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from market.contract.abi import decode_result, describe_revert, encode_call
from market.contract.artifacts import Artifact, is_code_of
from market.contract.rpc import METHOD_UNKNOWN, NodeError, RefusedError, Rpc, read_bytes, read_quantity
from market.errors import ChainError

LARGEST = (1 << 63) - 1
"""Greatest number of a block, of a chain or of a ledger."""


class RevertedError(ChainError):
    """A contract refuses a call or a transaction."""


class Block(NamedTuple):
    """Number and hash of a block, and its base fee in wei per gas; None on a chain without EIP-1559."""

    number: int
    hash: bytes
    base_fee: int | None


class Receipt(NamedTuple):
    """What became of a transaction: its hash, its block, whether it was carried out, gas, and the address it made."""

    hash: bytes
    block: int
    block_hash: bytes
    ok: bool
    gas: int
    created: str | None


class Chain:
    """A chain as a node shows it; a context manager.

    Parameters
    ----------
    rpc
        The node.
    chain_id
        As checked by `open_chain`.
    """

    def __init__(self, rpc: Rpc, chain_id: int) -> None:
        self.rpc, self.chain_id = rpc, chain_id

    def __enter__(self) -> Chain:
        return self

    def __exit__(self, *_: object) -> None:
        self.rpc.close()

    def block(self, number: int | str = "latest") -> Block:
        """A block by its number, or the latest."""
        what = f"{self.rpc.name}, block {number}"
        found = self.rpc.ask_object("eth_getBlockByNumber", _tag(number), False)
        if found is None:
            raise NodeError(f"{what}: expected a block, got none")
        fee = found.get("baseFeePerGas")
        base = None if fee is None else read_quantity(fee, what)
        return Block(_read_number(found.get("number"), what), read_bytes(found.get("hash"), what, 32), base)

    def receipt(self, digest: bytes) -> Receipt | None:
        """Receipt of a transaction by its hash; None if it is in no block."""
        what = f"{self.rpc.name}, receipt of 0x{digest.hex()}"
        found = self.rpc.ask_object("eth_getTransactionReceipt", f"0x{digest.hex()}")
        if found is None or found.get("blockHash") is None:
            return None
        if read_bytes(found.get("transactionHash"), what, 32) != digest:
            raise NodeError(f"{what}: expected the receipt of this transaction, got that of another")
        made = found.get("contractAddress")
        return Receipt(
            digest,
            _read_number(found.get("blockNumber"), what),
            read_bytes(found.get("blockHash"), what, 32),
            read_quantity(found.get("status"), what) == 1,
            read_quantity(found.get("gasUsed"), what),
            None if made is None else f"0x{read_bytes(made, what, 20).hex()}",
        )

    def knows(self, digest: bytes) -> bool:
        """Whether the node has a transaction, in a block or waiting for one."""
        return self.rpc.ask_object("eth_getTransactionByHash", f"0x{digest.hex()}") is not None

    def transaction(self, digest: bytes) -> tuple[str | None, bytes] | None:
        """Receiver (None if it makes a contract) and data of a transaction; None if the node does not have it."""
        what = f"{self.rpc.name}, transaction 0x{digest.hex()}"
        found = self.rpc.ask_object("eth_getTransactionByHash", f"0x{digest.hex()}")
        if found is None:
            return None
        to = found.get("to")
        return None if to is None else f"0x{read_bytes(to, what, 20).hex()}", read_bytes(found.get("input"), what)

    def logs(self, address: str, topics: list[list[str]], first: int, last: int) -> list[tuple[bytes, list[bytes]]]:
        """Transactions and topics of a contract's events in blocks `first` to `last`.

        Parameters
        ----------
        address, topics
            The contract, and for each place the topics that may stand there.
        first, last
            Numbers of blocks.
        """
        what = f"{self.rpc.name}, eth_getLogs"
        fields = {"address": address, "topics": topics, "fromBlock": hex(first), "toBlock": hex(last)}
        found = self.rpc.ask("eth_getLogs", fields)
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise NodeError(f"{what}: expected a list of events, got something else")
        return [(read_bytes(each.get("transactionHash"), what, 32), _read_topics(each, what)) for each in found]

    def nonce(self, address: str, tag: str = "latest") -> int:
        """Number of transactions of an account: up to the latest block, or with those that wait (`pending`)."""
        return self.rpc.ask_quantity("eth_getTransactionCount", address, tag)

    def balance(self, address: str) -> int:
        """What an account has, wei."""
        return self.rpc.ask_quantity("eth_getBalance", address, "latest")

    def code(self, address: str, at: int | str = "latest") -> bytes:
        """Code that stands at an address."""
        return self.rpc.ask_bytes("eth_getCode", address, _tag(at))

    def gas_price(self) -> int:
        """What the node says that gas costs now, wei; for chains without EIP-1559."""
        return self.rpc.ask_quantity("eth_gasPrice")

    def tip(self) -> int:
        """What the node says that a block's maker wants beyond the base fee, wei per gas; 1 gwei if it cannot say."""
        try:
            return self.rpc.ask_quantity("eth_maxPriorityFeePerGas")
        except RefusedError as reason:
            if reason.code != METHOD_UNKNOWN:
                raise
            return 10**9

    def estimate_gas(self, fields: dict[str, Any]) -> int:
        """Gas that a transaction would take, by the names of JSON-RPC; raises `RefusedError` where it is refused."""
        return self.rpc.ask_quantity("eth_estimateGas", fields)

    def call(self, fields: dict[str, Any], at: int | str = "latest") -> bytes:
        """What a call returns; nothing is written."""
        return self.rpc.ask_bytes("eth_call", fields, _tag(at))

    def send(self, raw: bytes) -> bytes:
        """Hand in a signed transaction; returns its hash as the node says it."""
        what = f"{self.rpc.name}, eth_sendRawTransaction"
        return read_bytes(self.rpc.ask("eth_sendRawTransaction", f"0x{raw.hex()}"), what, 32)


def open_chain(url: str, expected_id: int | None = None, patience_s: float = 20.0) -> Chain:
    """Open a chain at the URL of a node, once it is known which chain it is.

    Raises
    ------
    ChainError
        If the node does not answer, or is of another chain than expected.
    """
    rpc = Rpc(url, patience_s)
    try:
        found = rpc.ask_quantity("eth_chainId")
        if expected_id in (None, found):
            return Chain(rpc, found)
    except ChainError:
        rpc.close()
        raise
    rpc.close()
    raise ChainError(f"{rpc.name}: expected a node of chain {expected_id} (--chain-id), got one of chain {found}")


class Contract(NamedTuple):
    """A contract at an address of a chain."""

    chain: Chain
    artifact: Artifact
    address: str

    def check_code(self, at: int | str = "latest") -> None:
        """Check that this contract, and no other that answers like it, stands at the address.

        Raises
        ------
        ChainError
            If another stands there, or none.
        """
        code = self.chain.code(self.address, at)
        if not is_code_of(self.artifact, code):
            name, what = self.artifact.name, "other code" if code else "none"
            block = "" if at == "latest" else f" in block {at}"
            raise ChainError(
                f"{self.address}: expected the contract {name} of this version on chain {self.chain.chain_id}, "
                f"found {what}{block}; deploy one with: gridsettle ledger deploy"
            )

    def read(self, name: str, *arguments: Any, at: int | str = "latest") -> tuple[Any, ...]:
        """Values that a function returns.

        Raises
        ------
        RevertedError
            If it refuses.
        """
        data = encode_call(self.artifact, name, arguments)
        try:
            answer = self.chain.call({"to": self.address, "data": f"0x{data.hex()}"}, at)
        except RefusedError as reason:
            raise self.explain(reason, name) from None
        return decode_result(self.artifact, name, answer, len(arguments))

    def encode(self, name: str, arguments: Sequence[Any]) -> bytes:
        """A call of a function as bytes."""
        return encode_call(self.artifact, name, arguments)

    def explain(self, reason: RefusedError, what: str) -> ChainError:
        """The error of a call with the contract's own reason, where it was the contract that refused."""
        if not reason.data and "revert" not in reason.reason:
            return reason
        why = describe_revert(self.artifact, reason.data) if reason.data else reason.reason
        return RevertedError(f"{self.artifact.name} at {self.address} refuses {what}: {why}")


def _tag(number: int | str) -> str:
    return hex(number) if isinstance(number, int) else number


def _read_number(value: object, what: str) -> int:
    number = read_quantity(value, what)
    if number > LARGEST:
        raise NodeError(f"{what}: expected the number of a block, got {number:,}")
    return number


def _read_topics(event: dict[str, Any], what: str) -> list[bytes]:
    topics = event.get("topics")
    if not isinstance(topics, list) or len(topics) > 4:
        raise NodeError(f"{what}: expected up to four topics, got something else")
    return [read_bytes(topic, what, 32) for topic in topics]
