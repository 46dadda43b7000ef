"""Prometheus text of what the hub counts, made when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from streamrnn.serving.hub import Hub
from streamrnn.serving.tally import Histogram

NS = 1e-9


class HubCollector(Collector):
    """Reads the plain integers of one hub.

    Args:
        worker: a label of every sample, where the hub is that of one of several workers. Without it every worker's
            counters would look like one that jumps back and forth, as each scrape meets another.
    """

    def __init__(self, hub: Hub, worker: int | None = None) -> None:
        self._hub = hub
        self._own = {} if worker is None else {"worker": str(worker)}

    def collect(self) -> Iterator[Metric]:
        """Yield every metric family."""
        for family in self._families():
            if self._own:
                family.samples = [sample._replace(labels=self._own | sample.labels) for sample in family.samples]
            yield family

    def _families(self) -> Iterator[Metric]:
        hub, tally = self._hub, self._hub.tally
        yield GaugeMetricFamily("streamrnn_sessions", "Sessions that are kept", value=hub.n_sessions)
        yield _by_label(
            GaugeMetricFamily("streamrnn_lives", "Sessions by state", labels=["life"]), hub.roster.lives().items()
        )
        yield GaugeMetricFamily("streamrnn_connections", "Open websockets", value=len(hub.peers))
        yield GaugeMetricFamily("streamrnn_pending_frames", "Frames waiting to be stepped", value=hub.n_pending)
        yield CounterMetricFamily("streamrnn_frames", "Frames accepted", value=tally.n_frames)
        yield CounterMetricFamily("streamrnn_outputs", "Frames answered", value=tally.n_outputs)
        yield CounterMetricFamily("streamrnn_ticks", "Scheduler passes that stepped something", value=tally.n_ticks)
        yield CounterMetricFamily(
            "streamrnn_slow_readers", "Connections dropped because they did not read", value=tally.n_slow_readers
        )
        for name, text, value in (
            ("skipped_frames", "Frames without an output because too many waited", tally.n_skipped),
            ("duplicates", "Messages of frames answered again", tally.n_duplicates),
            ("resumed", "Sessions that came back", tally.n_resumed),
            ("taken_over", "Sessions that came back while another connection held them", tally.n_taken_over),
            ("saves", "Checkpoints written", tally.n_saves),
            ("saved_sessions", "Sessions in checkpoints written", tally.n_saved),
            ("store_failures", "Checkpoints that could not be written", tally.n_store_failures),
            ("fenced", "Sessions that another server had claimed", tally.n_fenced),
        ):
            yield CounterMetricFamily(f"streamrnn_{name}", text, value=value)
        norms = GaugeMetricFamily(
            "streamrnn_state_norm", "Root mean square of sessions' states: growth is drift", labels=["model", "of"]
        )
        for name, found in sorted(hub.engine.state_norms().items()):
            norms.add_metric([name, "mean"], found.mean)
            norms.add_metric([name, "max"], found.max)
        yield norms
        turns = CounterMetricFamily("streamrnn_turns", "Turns of sessions' lives by the state after", labels=["life"])
        yield _by_label(turns, tally.turns.items())
        yield _by_label(
            CounterMetricFamily("streamrnn_errors", "Errors answered", labels=["code"]), tally.errors.items()
        )
        yield _family("streamrnn_batch_sessions", "Sessions stepped in one tick", tally.batch, 1)
        yield _family("streamrnn_step_seconds", "Time of one tick", tally.step_ns, NS)
        yield _family("streamrnn_gc_pause_seconds", "Time of one garbage collection", tally.gc_pause_ns, NS)


Labelled = TypeVar("Labelled", CounterMetricFamily, GaugeMetricFamily)


def _by_label(family: Labelled, counts: Iterable[tuple[str, float]]) -> Labelled:
    for label, count in sorted(counts):
        family.add_metric([label], count)
    return family


def _family(name: str, text: str, histogram: Histogram, unit: float) -> HistogramMetricFamily:
    below = 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip(histogram.bounds, histogram.counts, strict=False):
        below += count
        buckets.append((f"{bound * unit:g}", below))
    buckets.append(("+Inf", sum(histogram.counts)))
    return HistogramMetricFamily(name, text, buckets=buckets, sum_value=histogram.total * unit)


class Metrics:
    """The `/metrics` page of one hub; each has its own registry, so that two servers may live in one program."""

    def __init__(self, hub: Hub, worker: int | None = None) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(HubCollector(hub, worker))

    def page(self) -> bytes:
        """Return the metrics in Prometheus text format."""
        return generate_latest(self._registry)
