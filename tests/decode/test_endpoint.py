"""Endpoint rules, by hand, at 10 frames a second."""

from __future__ import annotations

import pytest

from streamrnn.decode.decoder import Facts
from streamrnn.decode.endpoint import RULES, Endpoint
from streamrnn.decode.settings import EndpointSettings, Rule
from streamrnn.errors import OptionError

FACTS = Facts(1, 1, rate_hz=10.0)
SHERPA = EndpointSettings(
    Rule(False, 2.4, 0.0), Rule(True, 1.2, 0.0), Rule(False, 0.0, 20.0), Rule(True, 9.0, 0.0), Rule(True, 9.0, 0.0)
)


@pytest.mark.parametrize(
    ("settings", "n_frames", "n_silent", "rule"),
    [
        (EndpointSettings(), 49, 49, ""),
        (EndpointSettings(), 50, 50, "rule1"),
        (EndpointSettings(), 50, 4, ""),
        (EndpointSettings(), 50, 5, "rule2"),
        (EndpointSettings(), 199, 0, ""),
        (EndpointSettings(), 200, 0, "rule5"),
        (EndpointSettings(rule2=Rule(True, 0.5, 6.0)), 59, 9, ""),
        (EndpointSettings(rule2=Rule(True, 0.5, 6.0)), 59, 10, "rule3"),
        (EndpointSettings(rule2=Rule(True, 0.5, 6.0)), 60, 5, "rule2"),
        (EndpointSettings(rule2=Rule(True, 9.0), rule3=Rule(True, 9.0)), 40, 19, ""),
        (EndpointSettings(rule2=Rule(True, 9.0), rule3=Rule(True, 9.0)), 40, 20, "rule4"),
        (SHERPA, 23, 23, ""),
        (SHERPA, 24, 24, "rule1"),
        (SHERPA, 100, 11, ""),
        (SHERPA, 100, 12, "rule2"),
        (SHERPA, 200, 0, "rule3"),
        (None, 10_000, 10_000, ""),
    ],
)
def test_the_first_rule_that_holds_ends_the_utterance(settings, n_frames, n_silent, rule):
    assert Endpoint(settings, FACTS).rule(n_frames, n_silent) == rule


def test_the_rules_are_those_of_the_settings():
    assert EndpointSettings.__struct_fields__ == RULES


def test_a_rule_needs_a_rate_and_a_time_that_can_be():
    with pytest.raises(OptionError, match="rate_hz"):
        Endpoint(EndpointSettings(), Facts(1, 1))
    Endpoint(None, Facts(1, 1))
    with pytest.raises(OptionError, match=r"rule3\.min_trailing_silence"):
        Endpoint(EndpointSettings(rule3=Rule(True, -1.0)), FACTS)
