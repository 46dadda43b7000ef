"""The picture of a scene for a terminal: three sparklines of the sensor, its alarms, the sound, and the text."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from streamrnn.commands.demonstration.scene import Column, Scene
from streamrnn.commands.demonstration.spoken import Spoken
from streamrnn.commands.sparkline import BARS, bar_of

LABEL_CHARS = 10
FRAME_CHARS = 4
N_LINES = 8


def draw(scene: Scene, width: int) -> RenderableType:
    """The whole picture, `width` characters wide."""
    row = Table.grid(expand=True)
    row.add_column(ratio=3)
    row.add_column(ratio=2)
    row.add_row(
        _panel("alarms", Group(*_alarm_lines(scene))), _panel("char_lm", Text(_tail(scene.text, width * 2 // 5 - 4)))
    )
    sensor = _panel("temperature_anomaly", Group(*_sensor_lines(scene, width - FRAME_CHARS - LABEL_CHARS)), height=None)
    parts: list[RenderableType] = [sensor]
    if scene.spoken is not None:
        parts.append(_panel("digits", Group(*_spoken_lines(scene.spoken, width - FRAME_CHARS)), height=None))
    return Group(*parts, row, _line(_status(scene), "dim"))


def _spoken_lines(spoken: Spoken, width: int) -> list[Text]:
    sound = Text("".join(bar_of(level) for level in list(spoken.levels)[-max(1, width) :]), "cyan", no_wrap=True)
    said = Text("; ".join(text for _, text in spoken.finals), no_wrap=True, overflow="ellipsis")
    said.append(f"{'; ' if spoken.finals and spoken.partial else ''}{spoken.partial}", style="bold yellow")
    return [sound, said]


def _status(scene: Scene) -> str:
    latency = scene.latency
    p50_ms, p99_ms = latency.percentile_ms(50), latency.percentile_ms(99)
    return (
        f" {scene.n_sensors} sensors and one text share the server; this sensor: {latency.frames_per_s:,.0f} frames/s, "
        f"p50 {p50_ms:.2f} ms, p99 {p99_ms:.2f} ms"
    )


def _line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _panel(title: str, content: RenderableType, height: int | None = N_LINES + 2) -> Panel:
    return Panel(content, title=title, title_align="left", height=height)


def _tail(text: str, width: int) -> str:
    """The last lines that fit, long ones cut to the width."""
    pieces = [
        line[start : start + width] for line in text.split("\n") for start in range(0, max(1, len(line)), max(1, width))
    ]
    return "\n".join(pieces[-N_LINES:])


def _alarm_lines(scene: Scene) -> list[Text]:
    if not scene.alarms:
        return [Text("none yet", style="dim")]
    return [
        _line(scene.describe_alarm(seq), "red" if scene.fault_at(seq) else "dim") for seq in scene.alarms[-N_LINES:]
    ]


def _sensor_lines(scene: Scene, width: int) -> list[Text]:
    now = scene.now
    if now is None:
        return [Text("waiting for the first output")] + [Text()] * 4
    head = Text(f"{scene.times[now.seq]}  frame {now.seq + 1:4d} of {len(scene.times)}   ", no_wrap=True)
    head.append(f"value {now.value:7.2f}  ", style="bold")
    head.append(f"forecast {now.forecast:7.2f}  ")
    head.append(f"score {now.score:.2f}", style="bold red" if now.flag else "green")
    columns = list(scene.columns)[-max(1, width) :]
    values = [column.value for column in columns]
    low, high = min(values), max(values)
    fault = Text("fault".ljust(LABEL_CHARS), style="dim")
    fault.append("".join("━" if column.is_faulty else " " for column in columns), style="yellow")
    return [
        head,
        _sparkline("value", columns, values, low, high),
        _sparkline("forecast", columns, [column.forecast for column in columns], low, high),
        _sparkline("score", columns, [column.score for column in columns], 0.0, 1.0),
        fault,
    ]


def _sparkline(label: str, columns: Sequence[Column], values: Sequence[float], low: float, high: float) -> Text:
    text = Text(label.ljust(LABEL_CHARS), style="dim")
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    for column, value in zip(columns, values, strict=True):
        level = max(0, min(round((value - low) * scale), len(BARS) - 1))
        text.append(BARS[level], style="bold red" if column.flag else "cyan")
    return text
