"""Versions of what decides a curtailment; a ledger with facts holds their digest.

A version grows by one with every change after which the same interval may be cut differently, whatever the source text.
"""

from __future__ import annotations

CURTAILMENT_VERSIONS = {
    "curtailment least_curtailment": 1,
    "curtailment pro_rata": 1,
    "curtailment lifo": 1,
    "curtailment max_min": 1,
    "curtailment reject": 1,
    "shedding": 1,
    "redispatch": 1,
    "compensation": 1,
    "island": 2,
}

WAITING_VERSIONS = {"curtailment section_14a": 1, "waiting": 1}
"""Those of devices that can wait, which are part of the digest where there are any."""
