"""Number of cores: those that a process is pinned to, not those of the machine."""

from __future__ import annotations

import os

import pytest

from market.cores import count_usable_cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores can be chosen on Linux only")
def test_a_pinned_process_counts_its_cores_alone() -> None:
    all_of_them = os.sched_getaffinity(0)
    assert count_usable_cores() == len(all_of_them)
    try:
        os.sched_setaffinity(0, {min(all_of_them)})
        assert count_usable_cores() == 1
    finally:
        os.sched_setaffinity(0, all_of_them)


def test_where_cores_cannot_be_chosen_the_machine_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    for machine, expected in ((8, 8), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda machine=machine: machine)
        assert count_usable_cores() == expected
