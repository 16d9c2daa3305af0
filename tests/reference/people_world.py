"""People for tests: a clock that stands still, persons without the trouble of signing in, and statements of pages."""

from __future__ import annotations

from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cosim.web.people.persons import Kind, Person
from cosim.web.people.store import People

CHAIN = sha256(b"a chain").digest()


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def page_key(number: int) -> Ed25519PrivateKey:
    """The key that the browser of a person keeps."""
    return Ed25519PrivateKey.from_private_bytes(sha256(b"page %d" % number).digest())


def meet(people: People, number: int) -> Person:
    """A person that has proven who it is."""
    key = page_key(number).public_key().public_bytes_raw()
    with people.file.transaction():
        return people.persons.greet(Kind.WALLET, f"0x{number:040x}", key)


def settle(people: People, number: int, house: int) -> Person:
    """A person that is admitted to a house."""
    person = meet(people, number)
    people.persons.ask_to_join(person.number)
    return people.decisions.admit(person.number, house).person
