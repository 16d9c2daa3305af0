"""A second verifier of the ledger, plain Python and slow, written from docs/ledger-format.md alone.

It shares no code with `market`: where the two disagree, one of them or the document is wrong.
"""

from __future__ import annotations

import base64
import sqlite3
import struct
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from naive_charges import NaiveCharges
from naive_devices import NaiveDevices
from naive_envelopes import check_envelopes
from naive_facts import check_facts, check_rules
from naive_fields import (
    EXCHANGE,
    HEADER,
    HOUSE,
    KEY,
    METER,
    METERED,
    PARAMETER,
    PPM,
    SUBMISSION,
    VERDICT,
    WrongError,
    check_fields,
    demand,
)
from naive_private import NaiveSums
from naive_registry import NaiveRegistry, Tenure, demand_usable, in_force, signed, tree


class Naive(NaiveRegistry):
    def __init__(self) -> None:
        super().__init__()
        self.headers: list[bytes] = []
        self.start = 0
        self.known: dict[int, list[tuple[int, int, int, bytes]]] = {}
        self.state_root = sha256(b"").digest()
        self.prev = bytes(32)

    # -- one block ------------------------------------------------------------------------------------------------

    def block(self, height: int, stored: int, header: bytes, hashed: bytes, signature: bytes, body: bytes) -> None:
        demand(stored == height, "height")
        demand(len(header) == 184 and len(body) % 72 == 0 and len(body) > 0, "sizes")
        version, chain, said, start, prev, record_root, n, registry_root, state_root = HEADER.unpack(header)
        demand(version in (1, 2, 3, 4) and said == height and prev == self.prev, "header")
        demand(sha256(b"\0" + header).digest() == hashed, "hash")
        rows = [body[k : k + 72] for k in range(0, len(body), 72)]
        demand(n == len(rows) and tree(rows) == record_root, "record root")
        for k, row in enumerate(rows):
            check_fields(row, k, self.intervals, version)
        verdicts = [row for row in rows if row[0] == 17]
        for row in (row for row in rows if row[0] == 18):
            commanded = row[2] in (1, 2) and row[1] in (1, 2, 4)
            demand(row[2] == 0 if verdicts else commanded, "command")
        demand(len(verdicts) <= 1, "verdicts")
        if height == 0:
            self.genesis(rows)
        model = self.parameters.get("model")
        named = model is not None and model.rstrip(b"\0") in (b"three_phase", b"four_wire")
        phased, waits = version in (2, 4), version in (3, 4)
        demand(named if phased else model is None, "version")
        demand(waits == ("devices_sha256" in self.parameters), "version")
        demand(not phased or not self.p("private") or self.p("verdict_private"), "verdicts in clear")
        demand(not waits or not self.p("private"), "private records with devices")
        demand(chain == self.chain, "chain id")
        self.statements(rows, height)
        demand(registry_root == tree(self.registry), "registry root")
        if verdicts:
            demand(height > 0 and not any(row[0] == 65 for row in rows), "parameter")
            kinds = bytes(row[0] for row in rows)
            wanted = phased and not self.p("private")
            demand(kinds.count(20) == wanted and (not wanted or kinds[kinds.index(17) + 1 :][:1] == b"\x14"), "phases")
            self.start = self.p("start") + 60 * self.p("interval_minutes") * self.intervals
            self.entries(rows, height)
            self.submissions(rows, height)
            self.interval(rows, state_root)
            self.intervals += 1
        else:
            covered = {48, 49} if self.p("private") and self.p("verdict_private") else set()
            allowed = {22, 32, 64, 65} | covered if height == 0 else {*range(32, 41), 64, 18}
            demand({row[0] for row in rows} <= allowed, "kinds")
            demand(state_root == self.state_root, "state root")
        demand(start == self.start, "interval start")
        if height > 0:
            demand(not any(any(HOUSE.unpack(row[12:])[12:16]) for row in rows if row[0] == 64), "phases of a house")
        if height > 0 and not self.p("private"):
            self.batteries(rows)
        demand(
            signed(in_force(self.tenures[-3], height, 0), signature, b"gridsettle header v1\0" + header),
            "signature",
        )
        self.state_root, self.prev = state_root, hashed
        self.headers.append(header)

    def genesis(self, rows: list[bytes]) -> None:
        self.chain = sha256(b"gridsettle chain v1\0" + b"".join(r for r in rows if r[0] == 65)).digest()
        self.parameters = {}
        for row in rows:
            if row[0] == 65:
                name, value = PARAMETER.unpack(row[12:])
                self.parameters[name.rstrip(b"\0").decode()] = value
        if self.p("private"):
            self.private = NaiveSums(rows, self.p)
        houses = [HOUSE.unpack(row[12:]) for row in rows if row[0] == 64]
        demand(self.p("private") or [house[10] for house in houses] == list(range(len(houses))), "houses")
        demand(all(house[7] >= 0 for house in houses), "opening energy")
        self.ratings = [list(house[:7]) for house in houses]
        self.own = [house[7] for house in houses]
        self.wallets = [house[8] for house in houses]
        self.accounts = [0] * len(houses)
        self.pools = [0, 0, 0]
        self.lots: list[list[int]] = []
        self.next_lot = 0
        self.waiting = NaiveDevices(rows, self.p("interval_minutes"))
        is_charged = bool(self.p("charges"))
        demand(not is_charged or not self.p("private"), "private records with charges")
        self.charges = NaiveCharges(len(houses), is_charged, self.p("interval_minutes"))
        if self.p("facts"):
            check_rules(self.p)
        self.witnesses = naive_witnesses(self.parameters)
        keys = [row for row in rows if 32 <= row[0] < 40]
        demand(len(keys) == 1 and keys[0][0] == 32, "operator")
        member, role, number, _, effective, key = KEY.unpack(keys[0][12:])
        demand((member, role, number, effective) == (-3, 1, 0, 0), "operator")
        self.tenures, self.roles, self.numbers = {-3: [Tenure(0, key)]}, {-3: 1}, {-3: 0}
        demand_usable(key)
        demand(self.p("replacement_wait") >= 0, "wait")
        self.registry.append(keys[0])

    def submissions(self, rows: list[bytes], height: int) -> None:
        t, seen, stated = self.intervals, set[int](), set[int]()
        signatures = sum(row[0] == 40 and row[1] == 4 for row in rows)
        for k, row in enumerate(rows):
            if row[0] != 21:
                continue
            house, *said, number, first, last, _ = SUBMISSION.unpack(row[12:])
            demand(not self.p("private") and house not in seen, "submission in private, or a second one")
            seen.add(house)
            if row[1] == 2:
                demand((*said, number, first, last) == (-(2**31), 0, 0, -1, 0, t, t), "missing, but says something")
                continue
            stated.add(house)
            demand(first <= t <= last, "submission for another interval")
            signer, purpose, signature = self.joined(rows[k + 1 : k + 3])
            demand((signer, purpose) == (house, 4), "signer of a submission")
            signatures -= 2
            key = in_force(self.tenures.get(house, []), height, t)
            message = b"gridsettle submission v1\0" + self.chain + row[:4] + bytes(8) + row[12:]
            demand(key != b"" and signed(key, signature, message), "signature of a submission")
            demand(all(number >= one[0] for one in self.holding(house, t, key)), "older submission")
            self.known.setdefault(house, []).append((number, first, last, key))
        for house in self.known.keys() - stated:
            key = in_force(self.tenures[house], height, t)
            demand(not self.holding(house, t, key), "submission left out")
        demand(signatures == 0, "signature of no submission")

    def holding(self, house: int, t: int, key: bytes) -> list[tuple[int, int, int, bytes]]:
        return [one for one in self.known.get(house, []) if one[1] <= t <= one[2] and one[3] == key]

    # -- books ----------------------------------------------------------------------------------------------------

    def interval(self, rows: list[bytes], state_root: bytes) -> None:
        if self.p("private"):
            demand(not any(row[0] in (24, 25) for row in rows), "charges in private")
            self.private.interval(rows, self.intervals, self.clear_money)
            return
        demand(not any(row[0] in (48, 49) for row in rows), "private record")
        orders = sum(row[0] == 19 for row in rows)
        demand(orders == (len(self.own) if self.p("facts") else 0), "orders")
        n, t = len(self.own), self.intervals
        check_envelopes(rows, self.parameters.get("envelope_rule"), n)
        for lot in [lot for lot in self.lots if lot[4] <= t]:
            self.own[lot[2]] += lot[3]
            self.lots.remove(lot)
        self.own = [own - own * self.ratings[i][6] // PPM for i, own in enumerate(self.own)]
        wallets = list(self.wallets)
        flows = [dict.fromkeys((*METERED, "in", "out"), 0) for _ in range(n)]
        old = [lot[0] for lot in self.lots]
        losses = shed = curtailed = 0
        for row in rows:
            if row[0] > 12:
                continue
            kind = row[0]
            seller, buyer, host, _, lot, cleared, wh, _, _, _ = EXCHANGE.unpack(row[12:])
            self.money(kind, row)
            if kind in (1, 2, 3, 4, 6) and int.from_bytes(row[2:4], "little") != 12:  # P(V) is no curtailment
                curtailed += cleared - wh
            if kind in (1, 2):
                flows[seller]["sold"] += wh
                flows[buyer]["bought"] += wh
            elif kind == 3:
                flows[seller]["sold"] += wh
                flows[host]["bought"] += wh
                flows[host]["in"] += wh
                demand(lot >= self.next_lot, "lot id")
                self.next_lot = lot + 1
                self.lots.append([lot, buyer, host, wh * self.ratings[host][4] // PPM, t + self.p("tau_intervals")])
            elif kind == 4:
                mine = [known for known in self.lots if known[0] == lot and lot in old]
                demand(len(mine) == 1 and mine[0][1] == seller and mine[0][2] == host, "lot")
                mine[0][3] -= -(-wh * PPM // self.ratings[host][5])
                demand(mine[0][3] >= 0, "lot oversold")
                flows[host]["sold"] += wh
                flows[host]["out"] += wh
                flows[buyer]["bought"] += wh
            elif kind == 5:
                flows[buyer]["imported"] += wh
            elif kind == 6:
                flows[seller]["exported"] += wh
            elif kind == 7:
                flows[seller]["spilled"] += wh
            elif kind == 8:
                flows[buyer]["shed"] += wh
                shed += wh
            elif kind == 9:
                losses += wh
                if seller >= 0:
                    flows[seller]["sold"] += wh
            elif kind == 11:
                if seller >= 0:
                    flows[seller]["sold"] += wh
                if buyer >= 0:
                    flows[buyer]["bought"] += wh
        self.lots = [lot for lot in self.lots if lot[3] > 0]
        demand(self.pools[1] >= 0 and all(wallet >= 0 for wallet in self.wallets), "below zero")
        meters = [METER.unpack(row[12:]) for row in rows if row[0] == 16]
        demand(len(meters) == n, "meters")
        for i, meter in enumerate(meters):
            self.meter(i, meter, flows[i])
        verdict = VERDICT.unpack(next(row for row in rows if row[0] == 17)[12:])
        demand(verdict[8:] == (losses, curtailed, shed), "verdict")
        self.waiting.interval(rows)
        if self.p("facts"):
            check_facts(rows, wallets, self.p, "feed_in_fixed" in self.parameters)
        for house, neur in enumerate(self.charges.interval(rows)):
            self.accounts[house] -= neur
            self.pools[2] += neur
        demand(all(abs(balance) < 2**61 for balance in (*self.accounts, self.pools[2])), "balance")
        hosted = [sum(lot[3] for lot in self.lots if lot[2] == i) for i in range(n)]
        state = [*self.wallets, *self.accounts, *self.pools, *self.own, *hosted]
        demand(state_root == sha256(struct.pack(f"<{len(state)}q", *state)).digest(), "state root")

    def money(self, kind: int, row: bytes) -> None:
        seller, buyer, host, _, _, _, wh, price, amount, fee = EXCHANGE.unpack(row[12:])
        n = len(self.own)
        demand(seller < n and buyer < n and host < n, "unknown party")
        house_s, house_b = seller >= 0, buyer >= 0
        fits = {
            1: house_s and house_b and seller != buyer,
            2: house_s and house_b and seller != buyer,
            3: house_s and host >= 0 and buyer in (-2, seller),
            4: (house_s or seller == -2) and house_b and host >= 0,
            5: seller == -1 and house_b,
            6: house_s and buyer == -1,
            7: house_s,
            8: house_b,
            12: house_b,
            9: seller >= -1 and buyer == -3,
            10: house_s and buyer == -3,
            11: host >= 0 and -3 in (seller, buyer) and all(party == -3 or party >= 0 for party in (seller, buyer)),
        }
        demand(fits[kind], "parties")
        demand(amount == wh * price and 0 <= fee <= max(amount, 0) and (fee == 0 or kind == 1), "amount")
        if kind in (7, 8, 11, 12):
            demand(amount == 0, "spill, shed, background and shift are free")
            return
        houses = self.wallets if kind <= 4 else self.accounts
        for party, change in ((-2 if kind in (2, 3) else buyer, -amount), (seller, amount - fee), (-2, fee)):
            if party >= 0:
                houses[party] += change
                demand(abs(houses[party]) < 2**61, "balance")
            else:
                self.pools[-1 - party] += change
                demand(abs(self.pools[-1 - party]) < 2**61, "balance")

    def meter(self, i: int, m: tuple[int, ...], flow: dict[str, int]) -> None:
        (
            house,
            load,
            pv,
            fc,
            charge,
            discharge,
            bought,
            sold,
            imported,
            exported,
            spilled,
            shed,
            own,
            hosted,
            _,
        ) = m
        given = (bought, sold, imported, exported, spilled, shed)
        demand(house == i and given == tuple(flow[name] for name in METERED), "meter")
        demand(
            pv + fc + discharge + bought + imported == load - shed + charge + sold + exported + spilled,
            "balance",
        )
        soc_min, soc_max, max_charge, max_discharge, charge_ppm, discharge_ppm, _ = self.ratings[i]
        own_charge, own_discharge = charge - flow["in"], discharge - flow["out"]
        demand(own_charge >= 0 and own_discharge >= 0, "lots beyond the meter")
        self.own[i] += own_charge * charge_ppm // PPM + -own_discharge * PPM // discharge_ppm
        demand(own == self.own[i] >= 0 and hosted == sum(lot[3] for lot in self.lots if lot[2] == i), "stored")
        demand(charge == 0 or own + hosted <= soc_max, "full")
        demand(discharge == 0 or own + hosted >= soc_min, "empty")
        demand(charge <= max_charge and discharge <= max_discharge, "power")

    def clear_money(self, rows: list[bytes]) -> list[int]:
        n = self.private.n_houses
        self.own, self.wallets, self.accounts, self.pools = [0] * n, [0] * n, [0] * n, [0, 0, 0]
        for row in rows:
            if row[0] <= 12:
                self.money(row[0], row)
        return [sum(self.wallets), sum(self.accounts), *self.pools]

    def batteries(self, rows: list[bytes]) -> None:
        for row in rows:
            if row[0] == 64:
                *ratings, own, wallet, _, house = HOUSE.unpack(row[12:])[:11]
                demand(house < len(self.own) and wallet == 0 and self.own[house] + own >= 0, "battery")
                self.ratings[house] = ratings
                self.own[house] += own


def naive_witnesses(parameters: dict[str, bytes]) -> list[tuple[bytes, bytes]]:
    """(Public key, key id) of the witnesses of a quorum; none without one."""
    n = sum(name.startswith("witness_") for name in parameters)
    if n == 0 and "quorum" not in parameters:
        return []
    values = [parameters.get(f"witness_{k}", b"\1" * 40) for k in range(n)]
    demand(0 < n <= 32 and all(value[36:] == bytes(4) for value in values), "witnesses")
    for value in values:
        demand_usable(value[:32])
    demand(len({value[:32] for value in values}) == n, "witness twice")
    demand(1 <= int.from_bytes(parameters.get("quorum", bytes(8))[:8], "little", signed=True) <= n, "quorum")
    return [(value[:32], value[32:36]) for value in values]


def cosigners(note: str, witnesses: list[tuple[bytes, bytes]]) -> int:
    """How many of these witnesses have cosigned a checkpoint."""
    text, _, lines = note.rpartition("\n\n")
    found = set()
    for line in lines.splitlines():
        raw = base64.b64decode(line.split(" ")[2])
        for key, key_id in witnesses:
            if raw[:4] == key_id and len(raw) == 76:
                message = f"cosignature/v1\ntime {int.from_bytes(raw[4:12], 'big')}\n{text}\n"
                if signed(key, raw[12:], message.encode()):
                    found.add(key)
    return len(found)


def witnessed_blocks(directory: Path, checkpoint: str | None = None) -> int:
    """Blocks of the largest checkpoint that counts by the quorum of a ledger in order, 0 for none."""
    with closing(sqlite3.connect(directory / "ledger.sqlite")) as connection:
        naive = Naive()
        naive.block(0, *connection.execute("SELECT height, header, hash, signature, records FROM block").fetchone())
        notes = [note for (note,) in connection.execute("SELECT note FROM checkpoint")]
    counted = [
        note
        for note in [*notes, *([checkpoint] if checkpoint else [])]
        if cosigners(note, naive.witnesses) >= naive.p("quorum")
    ]
    return max((int(note.split("\n")[1]) for note in counted), default=0)


def read_note(note: str, origin: str, keys: list[bytes]) -> tuple[int, bytes]:
    """Size and root of a checkpoint that one of the keys has signed."""
    text, _, lines = note.rpartition("\n\n")
    text += "\n"
    named, size, root = text.split("\n")[:3]
    demand(named == origin, "origin")
    for key in keys:
        key_id = sha256(origin.encode() + b"\n\1" + key).digest()[:4]
        for line in lines.splitlines():
            dash, name, blob = line.split(" ")
            raw = base64.b64decode(blob)
            if (dash, name, raw[:4]) == ("—", origin, key_id):
                demand(signed(key, raw[4:], text.encode()), "checkpoint signature")
                return int(size), base64.b64decode(root)
    raise WrongError("checkpoint not signed")


def first_fault(directory: Path, checkpoint: str | None = None) -> tuple[int, str] | None:
    """(height, reason) of the first thing wrong with a ledger, None if nothing is."""
    connection = sqlite3.connect(f"{(directory / 'ledger.sqlite').resolve().as_uri()}?mode=ro", uri=True)
    naive, height = Naive(), 0
    try:
        for row in connection.execute("SELECT height, header, hash, signature, records FROM block ORDER BY height"):
            naive.block(height, *row)
            height += 1
        demand(height > 0, "no block")
        height -= 1
        levels = {(0, k): sha256(b"\0" + header).digest() for k, header in enumerate(naive.headers)}
        for level in range(64):
            for k in range(len(naive.headers) >> level + 1):
                levels[level + 1, k] = sha256(b"\1" + levels[level, 2 * k] + levels[level, 2 * k + 1]).digest()
        demand(
            {(a, b): c for a, b, c in connection.execute("SELECT level, idx, hash FROM node")} == levels,
            "nodes",
        )
        (at, blob, signature), *more = connection.execute("SELECT height, blob, signature FROM run_state")
        demand(not more, "state")
        if (at, blob, signature) != (-1, b"", b""):  # as in a copy
            demand(0 <= at <= height, "state")
            body = connection.execute("SELECT records FROM block WHERE height = ?", (at,)).fetchone()[0]
            recorded = struct.unpack_from("<I", body, 4)[0] + (17 in body[::72])
            demand(recorded == naive.intervals, "state of another interval")
            message = b"gridsettle state v1\0" + levels[0, at] + sha256(blob).digest()
            demand(signed(in_force(naive.tenures[-3], at, 0), signature, message), "state signature")
        origin = f"gridsettle/{naive.chain.hex()[:32]}"
        keys = [tenure.key for tenure in naive.tenures[-3]]
        notes = [(note, size) for size, note in connection.execute("SELECT size, note FROM checkpoint")]
        for note, size in [*notes, *([(checkpoint, None)] if checkpoint else [])]:
            found, root = read_note(note, origin, keys)
            demand(size in (None, found), "size of checkpoint")
            demand(found <= len(naive.headers), "rollback")
            demand(root == tree(naive.headers[:found]), "fork")
    except (WrongError, sqlite3.Error, ValueError, TypeError, IndexError, struct.error) as reason:
        return height, f"{type(reason).__name__}: {reason}"
    finally:
        connection.close()
    return None
