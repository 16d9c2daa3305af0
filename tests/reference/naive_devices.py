"""The rules of docs/ledger-format.md §8b, plain Python: what cars and heat pumps say, were given and hold."""

from __future__ import annotations

from naive_fields import EXCHANGE, FLEXIBLE, METER, PPM, demand


class NaiveDevices:
    """Devices of a ledger, from the rows of its first block on."""

    def __init__(self, genesis: list[bytes], interval_minutes: int) -> None:
        self.floor = 70 * interval_minutes
        self.first = [(row[1], FLEXIBLE.unpack(row[12:])) for row in genesis if row[0] == 22]
        self.held = [said[10] for _, said in self.first]

    def interval(self, rows: list[bytes]) -> None:
        devices = [(row[1], FLEXIBLE.unpack(row[12:])) for row in rows if row[0] == 22]
        meters = [(row[2] + 256 * row[3], METER.unpack(row[12:])) for row in rows if row[0] == 16]
        demand(len(devices) == len(self.first), "devices")
        given, charged, waits = ([0] * len(meters) for _ in range(3))
        for k, (status, said) in enumerate(devices):
            house, wanted, got = said[0], said[4], said[6]
            demand(house < len(meters), "house of a device")
            self.device(k, status, said)
            given[house] += got
            charged[house] += got * (status == 1)
            waits[house] += wanted - got
        shifts = [EXCHANGE.unpack(row[12:]) for row in rows if row[0] == 12]
        for i, (reason, meter) in enumerate(meters):
            demand(given[i] <= meter[1] and charged[i] == reason, "meter of a house with devices")
            demand(waits[i] == sum(f[6] for f in shifts if f[1] == i), "shift")

    def device(self, k: int, status: int, said: tuple[int, ...]) -> None:
        kind, first = self.first[k]
        house, floor, capacity, least, wanted, most, given, stored, used, made_up, held, unserved, stays, _, gain = said
        demand((status, house, capacity) == (kind, first[0], first[2]), "another device")
        demand(kind == 2 or gain == first[14], "gain of a car")
        demand(given <= wanted <= most <= first[5] and least <= wanted, "asks")
        demand(floor == min(wanted, self.floor), "floor")
        demand(stored == given * gain // PPM, "stored")
        before = self.held[k]
        demand(made_up == max(used - before - (stored if kind == 2 else 0), 0), "made up")
        demand(held == before - used + made_up + stored <= capacity, "content")
        demand(not (kind == 1 and stays == 0 and most), "charged while away")
        demand(unserved == 0 or (kind == 1 and stays == 1), "unserved")
        self.held[k] = held
