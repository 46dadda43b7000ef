"""A running quantile in five numbers, whatever the length of the series.

Source: Jain and Chlamtac, "The P-square algorithm for dynamic calculation of quantiles and histograms without storing
observations", Communications of the ACM 28, 1985. We differ: desired positions are computed from the count and not
summed up, so that they do not drift over an endless series.
"""

from __future__ import annotations

from bisect import bisect_right, insort

from msgspec import field

from streamrnn.decode.record import MAX_SEQ, Record, check_state

_MARKERS = 5


class Quantile(Record):
    """The quantile of the values so far, by linear interpolation of the first five and an estimate from then on.

    Attributes:
        share: which quantile, above 0 and below 1.
        count: values so far.
        heights: the values so far in order while there are up to five; then the markers' heights.
        places: the markers' places among the values, from 1.
    """

    share: float
    count: int = 0
    heights: list[float] = field(default_factory=list)
    places: list[int] = field(default_factory=lambda: [1, 2, 3, 4, 5])

    @property
    def value(self) -> float:
        """The quantile; 0 where there is no value yet."""
        if self.count >= _MARKERS + 1:
            return self.heights[2]
        if not self.count:
            return 0.0
        place = self.share * (self.count - 1)
        low = int(place)
        high = min(low + 1, self.count - 1)
        return self.heights[low] + (place - low) * (self.heights[high] - self.heights[low])

    def add(self, value: float) -> None:
        """Take one more finite value."""
        self.count += 1
        heights = self.heights
        if self.count <= _MARKERS:
            insort(heights, value)
            return
        heights[0], heights[4] = min(heights[0], value), max(heights[4], value)
        for i in range(max(1, min(bisect_right(heights, value), 4)), _MARKERS):
            self.places[i] += 1
        for i, share in ((1, self.share / 2), (2, self.share), (3, (1 + self.share) / 2)):
            self._move(i, 1 + (self.count - 1) * share)

    def check(self, share: float) -> None:
        """Check that this is a state of a quantile of that share.

        Raises:
            SnapshotError: it is not.
        """
        n = min(self.count, _MARKERS)
        check_state(self.share == share and 0 <= self.count <= MAX_SEQ and len(self.heights) == n, "a quantile")
        check_state(all(abs(height) < 1e300 for height in self.heights), "a quantile")
        check_state(self.heights == sorted(self.heights) and len(self.places) == _MARKERS, "a quantile")
        rises = all(a < b for a, b in zip(self.places, self.places[1:], strict=False))
        check_state(rises and self.places[0] == 1 and self.places[4] == max(self.count, _MARKERS), "a quantile")

    def _move(self, i: int, wanted: float) -> None:
        """Move marker `i` by one place towards the wanted one, where there is room."""
        q, n = self.heights, self.places
        distance = wanted - n[i]
        if distance >= 1.0 and n[i + 1] - n[i] > 1:
            d = 1
        elif distance <= -1.0 and n[i] - n[i - 1] > 1:
            d = -1
        else:
            return
        above = (n[i] - n[i - 1] + d) * (q[i + 1] - q[i]) / (n[i + 1] - n[i])
        below = (n[i + 1] - n[i] - d) * (q[i] - q[i - 1]) / (n[i] - n[i - 1])
        height = q[i] + d * (above + below) / (n[i + 1] - n[i - 1])
        if not q[i - 1] < height < q[i + 1]:
            height = q[i] + d * (q[i + d] - q[i]) / (n[i + d] - n[i])
        q[i] = max(q[i - 1], min(q[i + 1], height))
        n[i] += d
