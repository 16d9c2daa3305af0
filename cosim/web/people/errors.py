"""Errors about people; no message holds a secret, or the address of another person."""

from __future__ import annotations

from market.errors import MarketError


class PeopleError(MarketError):
    """Bad input about people: the message says what was expected, what was got and what to do."""


class SignInError(PeopleError):
    """A proof of identity is refused: a message, a signature, a nonce, a passkey, an operator's code."""


class UnknownError(PeopleError):
    """There is no such person, request or decision."""


class StateError(PeopleError):
    """The state of a person or request does not allow it, such as a house that is taken."""


class FullError(PeopleError):
    """A list that strangers can fill has reached its bound; later there may be room again."""
