"""The account page: balance, every transaction with its block, bills, receipts; and who may read it, and has."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any

import numpy as np
from starlette.responses import Response

from cosim.results.csv_text import mark_text
from cosim.results.labels import number_house
from cosim.web.pages.house import list_free_houses
from cosim.web.pages.refusals import RefusedError
from cosim.web.pages.rendering import render
from cosim.web.pages.visits import Visit, redirect
from cosim.web.pages.welcome import describe_market, name_visitor
from cosim.web.pages.words import describe_entry
from cosim.web.people.access import Answer
from market.ledger.check.receipt import prove
from market.ledger.store.registry import is_granted
from market.ledger.store.store import Store

MOST_ROWS = 500
ANSWERS = {
    Answer.ASKED: "no answer yet",
    Answer.GRANTED: "granted",
    Answer.REFUSED: "refused",
    Answer.WITHDRAWN: "withdrawn",
}
"""What became of a request, for who asked."""
CSV_COLUMNS = (
    *("time", "height", "seq", "what", "role", "other", "other_ledger_index", "delivered_wh", "cut_wh"),
    *("price_ueur_per_kwh", "money_neur", "why", "element_ledger_index"),
)
"""Units are the ledger's. It numbers houses from 0: what is called house 7 has ledger index 6."""


def find_account(visit: Visit) -> int:
    """House whose account is asked for: one's own, or another's with a grant that stands; then the reading is kept."""
    if visit.is_operator:
        return visit.named_house()
    own = visit.house
    house = own if "house" not in visit.request.query_params else visit.named_house()
    if house == own:
        return own
    live, people = visit.desk.live, visit.desk.people
    if not is_granted(live.registry, house, own, live.next_interval):
        name = visit.desk.names.party(house).capitalize()
        raise RefusedError(403, f"{name} has not granted you access, or no longer does.")
    if (owner := people.persons.find_member(house)) is not None:
        people.access.record_read(visit.person.number, owner.number, visit.request.url.path.strip("/"))
    return house


def show_account(visit: Visit) -> Response:
    """The account page of a house."""
    house, desk = find_account(visit), visit.desk
    month, entries = list_month(visit, house)
    wallet, account = desk.journal.find_balance(house)
    is_own = not visit.is_operator and visit.session is not None and visit.session.house == house
    return render(
        "account.html",
        **name_visitor(visit),
        **describe_market(desk),
        house=house,
        house_name=desk.names.party(house),
        house_number=number_house(house),
        is_own=is_own,
        wallet=wallet,
        account=account,
        bills=[(name, lines, sum(lines.values())) for name, lines in desk.journal.list_bills(house)],
        month=month,
        months=sorted(desk.journal.months, reverse=True),
        entries=entries[:MOST_ROWS],
        n_entries=len(entries),
        sharing=describe_sharing(visit) if is_own else {},
    )


def list_month(visit: Visit, house: int) -> tuple[str, list[dict[str, Any]]]:
    """A month, the newest unless another is named, and its transactions of a house, newest first."""
    desk, month = visit.desk, visit.request.query_params.get("month", "")
    months, names = desk.journal.months, (desk.names.party, desk.names.places[visit.sight])
    month = month if month in months else max(months, default="")
    span = months.get(month, range(0))
    found = desk.journal.list_entries(house, span.start, span.stop)
    return month, [
        {**describe_entry(height, row, house, *names), "at": desk.live.starts_at(int(row["interval"]))}
        for height, row in found
    ]


def describe_sharing(visit: Visit) -> dict[str, Any]:
    """Who may read a member's account, who asks, whom the member has asked, and who has read."""
    desk, own, me = visit.desk, visit.house, visit.person.number
    registry, t = desk.live.registry, desk.live.next_interval
    members = [house for house in desk.names.houses if house != own]
    standing = [pair for pair in sorted(registry.grants) if is_granted(registry, *pair, t)]
    free = set(list_free_houses(desk))
    return {
        "readers": [reader for owner, reader in standing if owner == own],
        "readable": [owner for owner, reader in standing if reader == own],
        "asked_of": [each for each in desk.people.access.list_asked_of(me) if each.state == Answer.ASKED],
        "answers": ANSWERS,
        "asked_by": desk.people.access.list_asked_by(me),
        "members": [house for house in members if house not in free],
        "reads": [
            (
                f"person {read.reader}" if read.reader_house is None else desk.names.party(read.reader_house),
                read,
                datetime.fromtimestamp(read.last_at, UTC),
            )
            for read in desk.people.access.list_reads_of(me)
        ],
        "accesses": [each for each in reversed(desk.journal.accesses) if each.owner == own][:MOST_ROWS],
    }


def download_csv(visit: Visit) -> Response:
    """Transactions of a month as CSV; texts that a spreadsheet would run as formulas are marked as texts."""
    house = find_account(visit)
    month, entries = list_month(visit, house)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for entry in entries[::-1]:
        known = {**entry, "time": f"{entry['at']:%Y-%m-%dT%H:%MZ}"}
        writer.writerow([mark_text(known[name]) for name in CSV_COLUMNS])
    return _download(
        text.getvalue(), "text/csv; charset=utf-8", f"{visit.desk.names.party(house).replace(' ', '-')}-{month}.csv"
    )


def download_receipt(visit: Visit) -> Response:
    """The receipt of a transaction, for `gridsettle ledger verify-receipt`."""
    house, desk = find_account(visit), visit.desk
    interval, seq = visit.whole("interval"), visit.whole("seq")
    if interval >= len(desk.journal.intervals):
        raise RefusedError(404, f"Interval {interval} is not recorded yet: wait until it has closed.")
    rows = desk.journal.intervals[interval].exchanges
    mine = rows[(rows["seller"] == house) | (rows["buyer"] == house) | (rows["host"] == house)]
    meter = desk.journal.intervals[interval].meters[house : house + 1]
    if seq not in [*mine["seq"].tolist(), *np.atleast_1d(meter["seq"]).tolist()]:
        raise RefusedError(404, f"There is no record {seq} of {desk.names.party(house)} in interval {interval}.")
    with Store.open_to_read(desk.live.directory) as store:
        receipt = prove(store, interval, seq)
    return _download(receipt.text(), "application/json", f"receipt-{interval}-{seq}.json")


def _download(text: str, kind: str, name: str) -> Response:
    return Response(text, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def ask_access(visit: Visit) -> Response:
    """Ask the member of another house to be let read its account."""
    house, (access, persons) = visit.named_house(), (visit.desk.people.access, visit.desk.people.persons)
    name = visit.desk.names.party(house).capitalize()
    if house == visit.house:
        raise RefusedError(409, "This is your own house: you read its account anyway.")
    if persons.find_member(house) is None:
        raise RefusedError(404, f"{name} has no member yet whom you could ask.")
    asked = [each for each in access.list_asked_by(visit.person.number) if each.owner_house == house]
    if any(each.state in (Answer.ASKED, Answer.GRANTED) for each in asked):
        raise RefusedError(409, f"You have asked already. {name} answers on its own account page.")
    access.ask_access(visit.person.number, house)
    return redirect("/account")


def refuse_access(visit: Visit) -> Response:
    """Refuse what another asks, or take back what oneself has asked."""
    number, access, me = visit.whole("request"), visit.desk.people.access, visit.person.number
    if number in [each.number for each in access.list_asked_of(me)]:
        access.answer_access(number, me, granted=False)
    else:
        access.withdraw_access(number, me)
    return redirect("/account")
