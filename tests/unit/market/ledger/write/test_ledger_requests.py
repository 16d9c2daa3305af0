"""Statements that wait for the operator."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledger_world import append, begin, world

from market.errors import LedgerError
from market.ledger.check.verify import verify_ledger
from market.ledger.format.header import make_demonstration_key
from market.ledger.format.records import DeviceKind, RecordBytes, Role
from market.ledger.format.statements import make_device_record, register
from market.ledger.write.ledger import Ledger
from market.ledger.write.requests import admit_requests, find_next_number, leave_request, list_requests

MADE, KEY = world(3, 6, seed=1), make_demonstration_key(40)


def device(chain: bytes, number: int, device: int = 1) -> RecordBytes:
    return make_device_record(
        chain,
        0,
        number,
        KEY,
        device=device,
        kind=DeviceKind.PV,
        bus=1,
        power_w=1,
        energy_wh=0,
        datasheet=bytes(32),
    )


def test_requests_are_admitted_in_the_order_they_were_made(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    with begin(directory, MADE) as ledger:
        append(ledger, MADE, 0, 3)
        chain = ledger.chain_id
        leave_request(directory, register(chain, 0, Role.PARTICIPANT, 1, 5, KEY))
        assert find_next_number(ledger.registry, directory, 0) == 2
        assert find_next_number(ledger.registry, directory, 1) == 1
        assert admit_requests(ledger, list_requests(directory)) == []
        assert list_requests(directory) == []
        numbers = []
        for k in range(4):
            numbers.append(find_next_number(ledger.registry, directory, 0))
            leave_request(directory, device(chain, numbers[-1], k))
        assert numbers == [2, 3, 4, 5]
        append(ledger, MADE, 3, 6)
        assert admit_requests(ledger, list_requests(directory)) == []
        assert len(ledger.registry.devices) == 4
    assert verify_ledger(directory).ok


def test_what_is_not_admissible_is_set_aside_and_the_rest_admitted(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    with begin(directory, MADE) as ledger:
        good = register(ledger.chain_id, 0, Role.PARTICIPANT, 1, 5, KEY)
        stranger = device(ledger.chain_id, 2)
        for rows in (good, stranger):
            leave_request(directory, rows)
        refused = admit_requests(ledger, list_requests(directory))
        assert [refusal.reason.split(":")[0] for refusal in refused] == ["device of member 0"]
        assert list(ledger.registry.keys) == [-3, 0]
        assert [path.suffix for path in (directory / "requests").iterdir()] == [".refused"]
        head = ledger.head()
        assert admit_requests(ledger, list_requests(directory)) == []
        assert ledger.head() == head
    assert verify_ledger(directory).ok


def test_a_request_can_be_left_while_a_run_writes(tmp_path: Path) -> None:
    with begin(tmp_path / "run", MADE) as ledger:
        leave_request(tmp_path / "run", register(ledger.chain_id, 0, Role.PARTICIPANT, 1, 9, KEY))
        append(ledger, MADE, 0, 6)
    with Ledger.resume(tmp_path / "run", MADE.key) as ledger:
        admit_requests(ledger, list_requests(tmp_path / "run"))
        assert 0 in ledger.registry.keys


@pytest.mark.parametrize("content", ["", "zz", "00" * 71, "00" * 72])
def test_what_is_no_request_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "requests").mkdir()
    (tmp_path / "requests" / "x.request").write_text(content)
    with pytest.raises(LedgerError, match="expected a request"):
        list_requests(tmp_path)
