"""Compensation: the network operator pays for generation that is spilled because the network could not carry it.

Paid is what a house spills on top of what it would have spilled anyway. Energy that its battery absorbs instead, and
stored energy that is not sold, are still there and not paid for. Nothing is settled, and nothing paid, in a feeder that
is switched off. The price is 0 unless the scenario sets one.
"""

from __future__ import annotations

import numpy as np

from market.exchanges import EXCHANGE, NOBODY, OPERATOR, Kind, Reason, Rows, Status
from market.settlement import Delivery


def with_compensation(delivery: Delivery, price_ueur_per_kwh: int) -> Delivery:
    """Delivery with one row a house that loses energy, paid out of the operator's account to the utility account.

    Parameters
    ----------
    delivery
        What the network admits of an interval.
    price_ueur_per_kwh
        Compensation; with 0 the delivery itself is returned.
    """
    if price_ueur_per_kwh == 0:
        return delivery
    rows = delivery.rows
    lost = rows[(rows["kind"] == Kind.SPILL) & (rows["delivered_wh"] > rows["cleared_wh"])]
    if lost.size == 0:
        return delivery
    return delivery._replace(rows=np.concatenate([rows, _paid(lost, price_ueur_per_kwh, rows.size)]))


def _paid(lost: Rows, price_ueur_per_kwh: int, first_seq: int) -> Rows:
    paid = np.zeros(lost.size, EXCHANGE)
    paid["kind"], paid["status"], paid["reason"] = Kind.COMPENSATION, Status.ACCEPTED, Reason.MAKES_UP
    paid["interval"], paid["seq"] = lost["interval"], first_seq + np.arange(lost.size)
    paid["seller"], paid["buyer"] = lost["seller"], OPERATOR
    for name in ("host", "element", "lot"):
        paid[name] = NOBODY
    paid["delivered_wh"] = lost["delivered_wh"] - lost["cleared_wh"]
    paid["cleared_wh"] = paid["delivered_wh"]
    paid["price_ueur_per_kwh"] = price_ueur_per_kwh
    return paid
