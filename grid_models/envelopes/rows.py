"""What the network allows, as rows of a programme: each limit at the corner of the box where it is closest.

Around an AC state a limited quantity changes by its derivatives. It is largest at the corner to which their signs
point; a current, which is a complex number, has several such corners: one for each direction in which it can grow. So
every coefficient of a row is at least 0, and the rooms that keep all rows are a packing problem, whatever the signs.

Law: a row says what to change. Whether a corner is clean, an AC solution at that corner decides.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from grid_models.arrays import Complex, Floats, Ints, Mask
from grid_models.envelopes.customers import Customers
from grid_models.envelopes.excess import PU_PER_PERCENT
from grid_models.powerflow.limits import Limits
from grid_models.response.response import InjectionChange, Response

NEAR_PU = 0.01
"""Only limits that come this close at their corner get a row."""

OWN_PU = 1e-3
"""Limits that a state is this close to itself get a row at its own corner, too."""

NEAR_SHARE = 1.25
"""How much wider than now a box is thought when limits are sorted out that stay far away."""

LEAST_SHARE = 0.05
"""Share of what customers can do that a room is thought to have at least."""

DIRECTIONS = 12
"""Directions of currents between which corners are looked for; in a balanced model all currents have one."""


class Rows(NamedTuple):
    """R limits, each at one corner of the box of one interval.

    Attributes
    ----------
    interval, engine
        (R,) interval, and the engine that judges it.
    limit
        (R,) number of the limit, as in `grid_models.envelopes.excess`.
    corner
        (R, 2M) the corner.
    effect
        (R, 2M) change of the quantity there by 1 kW of each room, pu, of either sign, rooms that the corner leaves too.
    """

    interval: Ints
    engine: Ints
    limit: Ints
    corner: Mask
    effect: Floats

    @property
    def slope(self) -> Floats:
        """Coefficients of the programme, (R, 2M), at least 0; 0 for rooms that the corner leaves."""
        return np.where(self.corner, np.maximum(self.effect, 0.0), 0.0)

    def select(self, chosen: Mask | Ints | slice) -> Rows:
        """Some of the rows."""
        return Rows._make(column[chosen] for column in self)

    @staticmethod
    def concatenate(parts: list[Rows]) -> Rows:
        """Rows of several states."""
        return Rows._make(map(np.concatenate, zip(*parts, strict=True)))


def make_no_rows(n_rooms: int) -> Rows:
    """Rows of none."""
    none, corner = np.zeros(0, np.int64), np.zeros((0, n_rooms), dtype=bool)
    return Rows(none, none, none, corner, corner.astype(np.float64))


class State(NamedTuple):
    """An AC state: its interval and engine, the corner it is at, the rooms of the box, (2M,) kW, and its response."""

    interval: int
    engine: int
    corner: Mask
    room_kw: Floats
    response: Response


def linearise_limits(state: State, limits: Limits, customers: Customers, near_pu: float = NEAR_PU) -> Rows:
    """Rows of the limits that the box comes as close to as `near_pu`, by the derivatives at one state.

    Limits that would stay farther even in a box `NEAR_SHARE` times as wide, or of all that customers can do where there
    is no box yet, get none.
    """
    span = customers.most_kw
    if state.room_kw.any():
        span = np.clip(NEAR_SHARE * state.room_kw, LEAST_SHARE * span, span)
    widths = [span]
    if limits.max_vuf_percent.size and state.room_kw.any():
        widths.append(state.room_kw)  # where export and import both raise a voltage, their rooms decide which is worse
    parts = [
        find(state, limits, customers, width, near_pu) for width in widths for find in (_of_voltages, _of_currents)
    ]
    parts.append(_at_own_corner(state, limits, customers))
    limit, corner, effect = _drop_doubles(*map(np.concatenate, zip(*parts, strict=True)))
    same = np.ones(limit.size, dtype=np.int64)
    return Rows(state.interval * same, state.engine * same, limit, corner, effect)


def linearise_own(state: State, limits: Limits, customers: Customers) -> Rows:
    """Rows of the limits that the state itself is close to or beyond, at its corner."""
    limit, corner, effect = _at_own_corner(state, limits, customers)
    same = np.ones(limit.size, dtype=np.int64)
    return Rows(state.interval * same, state.engine * same, limit, corner, effect)


def _at_own_corner(state: State, limits: Limits, customers: Customers) -> tuple[Ints, Mask, Floats]:
    """Limits that the state itself is close to or beyond, at its corner, whatever the signs of its derivatives are."""
    response, one_end = state.response, list_one_end(state.response, limits)
    vm, now = response.vm_pu, response.current_percent[one_end]
    percent = PU_PER_PERCENT * (np.abs(now) - limits.max_end_percent[one_end])
    excess = np.concatenate([vm - limits.max_vm_pu, limits.min_vm_pu - vm, percent])
    limit = np.flatnonzero(excess > -OWN_PU)
    n, m = vm.size, 2 * vm.size
    of_vm, ends = limit[limit < m], limit[limit >= m] - m
    upwards, turn = np.where(of_vm < n, 1.0, -1.0)[:, None], np.exp(-1j * np.angle(now[ends]))[:, None]

    def differentiate(by: InjectionChange) -> Floats:
        along = (turn * by.current_percent(one_end[ends])).real
        return np.concatenate([by.vm_pu(of_vm % n) * upwards, PU_PER_PERCENT * along])

    effect = customers.find_effect(differentiate(response.by_p), lambda: differentiate(response.by_q))
    return limit, np.repeat(state.corner[None], limit.size, axis=0), effect


def list_one_end(response: Response, limits: Limits) -> Ints:
    """One end of each branch, whose derivatives are those of the other, and what is judged behind the ends."""
    n_branches = limits.max_branch_percent.size
    return np.concatenate([np.arange(n_branches), np.arange(2 * n_branches, response.current_percent.size)])


def join_rows(parts: list[Rows], states: list[State]) -> Rows:
    """Rows of the states of one interval; of those of one limit and corner that of the state closest to the corner."""
    rows = Rows.concatenate(parts)
    near = [part.corner @ np.where(s.corner, s.room_kw, -s.room_kw) for part, s in zip(parts, states, strict=True)]
    rows = rows.select(np.argsort(np.negative(np.concatenate(near)), kind="stable"))
    return rows.select(find_first_bytes((rows.engine, rows.limit), rows.corner)[0])


def _of_voltages(
    state: State, limits: Limits, customers: Customers, span: Floats, near_pu: float
) -> tuple[Ints, Mask, Floats]:
    """Limit, corner and effects of upper and lower voltages."""
    vm = state.response.vm_pu
    effect = customers.find_effect(state.response.by_p.vm_pu(), state.response.by_q.vm_pu)
    both = np.concatenate([effect, -effect])
    excess = np.concatenate([vm - limits.max_vm_pu, limits.min_vm_pu - vm])
    near = _at_most(excess, both, state, customers, span) > -near_pu
    limit, effect = np.flatnonzero(near), both[near]
    return limit, customers.choose_corners(effect, span), effect


def _at_most(excess: Floats, effect: Floats, state: State, customers: Customers, span: Floats) -> Floats:
    """Largest excess in the box of `span`, (R,), by linear effects; NaN, without supply, is as far as can be."""
    corner = customers.choose_corners(effect, span)
    change = np.where(corner, span, 0.0) - np.where(state.corner, state.room_kw, 0.0)
    return np.asarray(np.nan_to_num(excess + (effect * change).sum(axis=1), nan=-np.inf))


def _of_currents(
    state: State, limits: Limits, customers: Customers, span: Floats, near_pu: float
) -> tuple[Ints, Mask, Floats]:
    """Limit, corner and effects of branches, unbalance and neutrals, at each corner where their modulus is largest.

    From each of some directions: the corner that lies farthest in it, then the one farthest in the direction of the
    quantity there.
    """
    n_voltages, one_end = 2 * limits.max_vm_pu.size, list_one_end(state.response, limits)
    now = state.response.current_percent[one_end]
    by_p, by_q = state.response.by_p, state.response.by_q
    effect = customers.find_effect(by_p.current_percent()[one_end], lambda: by_q.current_percent()[one_end])
    far = (
        np.abs(now) + np.abs(effect) @ (span + state.room_kw)
        <= limits.max_end_percent[one_end] - near_pu / PU_PER_PERCENT
    )
    which = np.flatnonzero(~far)
    now, effect = now[which], effect[which]
    at_zero = now - (effect * np.where(state.corner, state.room_kw, 0.0)).sum(axis=1)
    turn = _list_directions(effect, balanced=limits.max_vuf_percent.size == 0)
    for _ in range(2):
        along = (np.conj(turn)[:, :, None] * effect).real
        corner = customers.choose_corners(along, span)
        there = at_zero + (effect * np.where(corner, span, 0.0)).sum(axis=2)
        turn = np.exp(1j * np.angle(there))
    along = (np.conj(turn)[:, :, None] * effect).real
    corner = customers.choose_corners(along, span)
    near = np.abs(there) > limits.max_end_percent[one_end[which]] - near_pu / PU_PER_PERCENT
    limit = np.broadcast_to(n_voltages + which, near.shape)
    return limit[near], corner[near], PU_PER_PERCENT * along[near]


def _list_directions(effect: Complex, *, balanced: bool) -> Complex:
    """Directions, (D, e), in which the moduli of quantities with these effects, (e, 2M), are looked for."""
    if not balanced:
        every = np.exp(2j * np.pi * np.arange(DIRECTIONS) / DIRECTIONS)
        return np.broadcast_to(every[:, None], (DIRECTIONS, len(effect))).copy()
    strongest = effect[np.arange(len(effect)), np.abs(effect).argmax(axis=1)]
    along = np.exp(1j * np.angle(strongest))
    return np.stack([along, -along])


def _drop_doubles(limit: Ints, corner: Mask, effect: Floats) -> tuple[Ints, Mask, Floats]:
    """One row of each limit and corner."""
    first, _ = find_first_bytes((limit,), corner)
    return limit[first], corner[first], effect[first]


def find_first_bytes(numbers: tuple[Ints, ...], corner: Mask) -> tuple[Ints, Ints]:
    """Place of the first of each kind of (numbers, corner), ordered by them, and the kind of each, (R,)."""
    parts = [column.astype(">i8")[:, None].view(np.uint8) for column in numbers]
    key = np.ascontiguousarray(np.hstack([*parts, np.packbits(corner, axis=1)]))
    if len(key) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    _, first, place = np.unique(
        key.view(np.dtype((np.void, key.shape[1])))[:, 0], return_index=True, return_inverse=True
    )
    return first, place
