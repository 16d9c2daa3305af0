"""A chain in this process, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chain_world import FakeNode, served_node


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


@pytest.fixture
def url(node: FakeNode) -> Iterator[str]:
    with served_node(node) as served:
        yield served
