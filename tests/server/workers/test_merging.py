"""Pages of several workers as one, read by Prometheus's own parser."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from streamrnn.server.metrics import Metrics
from streamrnn.server.workers.merging import family_page, merged
from tests.serving.house import make_hub


def page_of(worker: int | None, n_ticks: int = 0) -> str:
    """The page of a hub that has ticked so often."""
    hub = make_hub()
    hub.tally.n_ticks = n_ticks
    hub.tally.errors["bad_frame"] = 1
    hub.tally.batch.add(n_ticks)
    return Metrics(hub, worker).page().decode()


def samples_of(page: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample by name and labels; none may stand twice."""
    families = list(text_string_to_metric_families(page))
    assert len({family.name for family in families}) == len(families), "a family stands twice"
    samples = [sample for family in families for sample in family.samples]
    found = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
    assert len(found) == len(samples), "a sample stands twice"
    return found


def test_nothing_is_lost_and_nothing_is_there_twice() -> None:
    pages = [page_of(0, 3), page_of(1, 4)]
    both = samples_of(merged(pages))
    assert both == samples_of(pages[0]) | samples_of(pages[1])
    assert len(both) == 2 * len(samples_of(pages[0]))
    assert both["streamrnn_ticks_total", frozenset({("worker", "1")})] == 4
    assert both["streamrnn_errors_total", frozenset({("worker", "0"), ("code", "bad_frame")})] == 1


def test_the_type_of_each_family_stays() -> None:
    def types(page: str) -> dict[str, str]:
        return {family.name: family.type for family in text_string_to_metric_families(page)}

    assert types(merged([page_of(0), page_of(1)])) == types(page_of(None))


def test_a_family_that_one_page_lacks() -> None:
    one = family_page("a", "gauge", "of one", [(0, True)])
    other = family_page("b", "counter", "of the other", [(1, 2)]) + family_page("a", "gauge", "of one", [(1, 0)])
    assert merged([one, other, ""]).splitlines() == [
        *("# HELP a of one", "# TYPE a gauge", 'a{worker="0"} 1.0', 'a{worker="1"} 0.0'),
        *("# HELP b of the other", "# TYPE b counter", 'b{worker="1"} 2.0'),
    ]


def test_a_server_that_is_alone_has_no_such_label() -> None:
    assert not any(("worker", "0") in labels for _, labels in samples_of(page_of(None)))
    assert all(("worker", "0") in labels for _, labels in samples_of(page_of(0)))
