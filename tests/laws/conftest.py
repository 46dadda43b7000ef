"""Counts the examples that each test of a law tries, for the summary at the end of a run."""

from __future__ import annotations

import pytest

from tests.laws.examples import EXAMPLES


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Note (law, net, number of examples) on the report; it travels to the controller of a parallel run as well."""
    EXAMPLES.clear()
    try:
        return (yield)
    finally:
        item.user_properties += [("law", [law, cell, n]) for (law, cell), n in EXAMPLES.items()]
