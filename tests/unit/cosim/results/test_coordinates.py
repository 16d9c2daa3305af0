"""Places of buses: what is no point does not count."""

from __future__ import annotations

import pandapower as pp
import pytest

from cosim.results.coordinates import find_centre, read_point


@pytest.mark.parametrize("geo", [None, 5, "", "x", "[]", "{}", '{"coordinates": [1]}', '{"coordinates": ["a", 2]}'])
def test_what_is_no_point_has_no_place(geo: object) -> None:
    assert read_point(geo) is None


def test_the_centre_is_the_mean_of_buses_that_have_a_place() -> None:
    net = pp.create_empty_network()
    for point in ((10.0, 50.0), (12.0, 54.0)):
        pp.create_bus(net, 0.4, geodata=point)
    pp.create_bus(net, 0.4)
    pp.create_bus(net, 0.4)
    net.bus.loc[3, "geo"] = '{"type": "Point", "coordinates": [NaN, 1.0]}'
    assert find_centre(net) == {"x": 11.0, "y": 52.0}
    assert find_centre(pp.create_empty_network()) == {"x": None, "y": None}
