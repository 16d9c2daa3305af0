"""Net and feeders agree on voltages and limits; what feeders cannot mend is left and named."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from medium_voltage_nets import build, compare_with_joined, make_net, make_scenario

import cosim.portfolio.medium_voltage.agree as room
from cosim.case.case import Case
from cosim.curtailment.feasible import Outcome
from cosim.portfolio.medium_voltage.agree import Agreed, agree
from cosim.portfolio.medium_voltage.exchange import NoAgreementError
from cosim.portfolio.medium_voltage.feeders import FeederUnder
from grid_models.powerflow.verdicts import Judgement

pytestmark = pytest.mark.slow
NAMES = ("a", "bb", "ccc")


def hang(net: object) -> tuple[Agreed, list[Case]]:
    """Two feeders with much sun at the end, one without panels that draws in the middle."""
    feeders = [FeederUnder(name, "end", make_scenario(name)) for name in NAMES[:2]]
    dark = {"n_houses": 5, "n_prosumers": 0, "production_ratio": 0.0}
    feeders.append(FeederUnder(NAMES[2], "middle", make_scenario(NAMES[2], houses=dark)))
    mv, cases = build(net, feeders)
    return agree(mv, cases), cases


@cache
def make_free() -> tuple[Agreed, list[Case]]:
    return hang(make_net())


def test_without_a_broken_limit_two_rounds_are_enough_and_nothing_is_limited() -> None:
    agreed, cases = make_free()
    assert agreed.n_rounds <= 3
    assert agreed.as_asked == {}
    assert all(np.isinf(series.max_loading_percent).all() for series in agreed.heads)
    assert agreed.residual_pu <= 1e-6
    vm_pu, percent = compare_with_joined(cases, agreed, 3)
    assert vm_pu <= 1e-6
    assert percent <= 1e-4


@cache
def make_narrow() -> tuple[Agreed, list[Case]]:
    """The second line carries half of what the feeders at its end want to export."""
    free = make_free()[0].flow.line_loading_percent[:, 1].max()
    net = make_net()
    net.line.loc[1, "max_loading_percent"] = float(free) / 2.0
    return hang(net)


def test_an_overload_is_shared_by_those_that_push_and_ends_clean_in_ac() -> None:
    agreed, cases = make_narrow()
    assert agreed.as_asked
    assert {str(violation).split(":")[0] for violation in agreed.as_asked.values()} == {"line second"}
    assert (agreed.verdicts.status == Judgement.OK).all()
    limited = [np.isfinite(series.max_loading_percent) for series in agreed.heads]
    assert sorted(np.flatnonzero(limited[0]).tolist()) == sorted(agreed.as_asked)
    np.testing.assert_array_equal(limited[0], limited[1])
    assert not limited[2].any()  # it draws, and so helps
    for delivered, series in zip(agreed.delivered, agreed.heads, strict=True):
        assert (delivered.loading_percent <= series.max_loading_percent).all()
    t = max(agreed.as_asked, key=lambda at: agreed.as_asked[at].value)
    limit = agreed.mv.limits.max_line_loading_percent[1]
    assert 0.97 * limit < agreed.flow.line_loading_percent[t, 1] <= limit  # no more is given up than need be
    vm_pu, percent = compare_with_joined(cases, agreed, t)
    assert vm_pu <= 1e-6
    assert percent <= 1e-4


def test_feeders_give_up_the_same_share_of_their_power() -> None:
    free, narrow = make_free()[0], make_narrow()[0]
    t = max(narrow.as_asked, key=lambda at: narrow.as_asked[at].value)
    kept = [narrow.delivered[k].p_head_kw[t] / free.delivered[k].p_head_kw[t] for k in range(3)]
    assert kept[0] == pytest.approx(kept[1], abs=0.02)
    assert kept[0] < 0.7
    assert kept[2] == pytest.approx(1.0, abs=1e-3)
    assert narrow.delivered[0].outcome[t] == Outcome.CURTAILED


def test_what_the_net_breaks_by_itself_stays_broken_and_is_kept_apart() -> None:
    net = make_net(load_mw=5.0)
    net.line.loc[0, "max_loading_percent"] = 1.0
    agreed, _ = hang(net)
    assert (agreed.verdicts.status == Judgement.VIOLATED).all()
    assert agreed.as_asked == {}


def test_too_low_a_voltage_asks_those_that_draw() -> None:
    net = make_net()
    net.line["length_km"] = 40.0  # so that what feeders draw is felt
    free = hang(net)[0]
    lowest = free.flow.vm_pu[:, 2].min()
    net.bus["min_vm_pu"] = [0.9, 0.9, float(lowest) + 1e-5, 0.9]
    agreed, _ = hang(net)
    asked = {t: str(violation) for t, violation in agreed.as_asked.items()}
    assert asked
    assert (agreed.verdicts.status == Judgement.OK).all()
    limited = [np.isfinite(series.max_loading_percent) for series in agreed.heads]
    draws = [delivered.p_head_kw > 0.0 for delivered in free.delivered]
    for is_limited, does_draw in zip(limited, draws, strict=True):
        assert not (is_limited & ~does_draw).any()


def test_feeders_that_never_agree_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_ROUNDS", 1)
    with pytest.raises(
        NoAgreementError, match=r"interval 2017-06-01T\d\d:00:00 UTC, bus \d '(end|middle)'.* after 1 rounds"
    ):
        hang(make_net())
