"""The rules of docs/ledger-format.md §8c, plain Python: what was cleared lies within the envelopes."""

from __future__ import annotations

from naive_fields import ENVELOPE, EXCHANGE, FLEXIBLE, demand

RULES = (b"equal", b"proportional", b"max_total", b"max_min")


def check_envelopes(rows: list[bytes], rule: bytes | None, n: int) -> None:
    """The envelopes of a block with an interval, by the rule that the first block names."""
    found = [(row[1], row[2], ENVELOPE.unpack(row[12:])) for row in rows if row[0] == 23]
    if not found:
        return
    demand(rule is not None and rule.rstrip(b"\0") in RULES, "envelopes without a rule")
    demand([said[0] for _, _, said in found] == list(range(n)), "houses of envelopes")
    demand(all(code == RULES.index(rule.rstrip(b"\0")) for _, code, _ in found), "rule of an envelope")
    bound = any(limit >= 0 for _, _, said in found for limit in said[1:6])
    statuses = {status for status, _, _ in found}
    demand(len(statuses) == 1 and (statuses == {1}) == bound, "status of envelopes")
    used = [[0] * 5 for _ in range(n)]
    for row in rows:
        if row[0] in (1, 2, 3, 4, 6):
            seller, _, host, _, _, cleared, *_ = EXCHANGE.unpack(row[12:])
            if row[0] == 4:
                used[host][1] += cleared
            elif seller >= 0:
                used[seller][0] += cleared
            if row[0] == 3:
                used[host][2] += cleared
        elif row[0] == 22:
            said = FLEXIBLE.unpack(row[12:])
            used[said[0]][3 if row[1] == 1 else 4] += said[4]
    for house, (_, _, said) in enumerate(found):
        demand(all(limit < 0 or wh <= limit for limit, wh in zip(said[1:6], used[house], strict=True)), "beyond")
