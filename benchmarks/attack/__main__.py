"""Play every attack against a real server, with ordinary sessions beside it: `python -m benchmarks.attack`.

Three processes: the server, a watcher that streams ordinary sessions at a steady rate, and this one, which attacks. Of
each attack a row tells how it was answered, how long the server's loop stood still, what memory it took and left, and
the watcher's latency during it beside that before. Exit status 1: an answer was wrong, an ordinary session was harmed,
or the server died. What was merely slow is marked, and is no failure. Everything stays on 127.0.0.1.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks import report
from benchmarks.attack import frames, handshakes, messages, sessions  # noqa: F401  (each enters its attacks)
from benchmarks.attack.attack import ATTACKS, Attack
from benchmarks.attack.wire import Wire
from streamrnn.wire import messages as m

QUIET_S = 1.0
"""How long the watcher is watched before each attack."""
LEAST_S = 1.0
"""An attack is played again until it has taken so long."""
SETTLE_S = 0.3
CALM_S, N_CALM = 10.0, 16
"""Longest wait for the frames that an attack has left, and how many wait at any time for the watcher."""
STALL_MS = 10.0
"""The aim: no loop stands still for longer."""


class Asked:
    """A process that answers each line with a line of JSON."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self.name = name
        self.process = process

    def hear(self) -> dict[str, Any]:
        """Return its next line.

        Raises:
            ChildProcessError: it is gone.
        """
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise ChildProcessError(f"{self.name} has died")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self) -> dict[str, Any]:
        """Its figures since they were last asked for. Raises as `hear`."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise ChildProcessError(f"{self.name} has died") from None
        return self.hear()

    def end(self) -> None:
        """Let it end."""
        assert self.process.stdin is not None
        self.process.stdin.close()


@contextmanager
def running(core: int, *arguments: str) -> Iterator[Asked]:
    """Run a module on one core, and end it after."""
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    try:
        yield Asked(arguments[0], process)
    finally:
        process.terminate()
        process.wait(10)


def serves(port: int) -> bool:
    """Whether a newcomer is served."""
    try:
        with Wire(port) as wire:
            wire.say(m.Open(1, "net"), m.Frame(1, 0, bytes(4 * 64)), m.Flush(1))
            return bool(wire.hear(lambda message: isinstance(message, m.Ack))["output"])
    except OSError:
        return False


def calm_down(server: Asked) -> None:
    """Wait until what the attack before has left to be stepped is done, a while at most: it is stepped all the same."""
    deadline = time.monotonic() + CALM_S
    while server.ask()["n_pending"] > N_CALM and time.monotonic() < deadline:
        time.sleep(0.1)


def play(attack: Attack, port: int, server: Asked, watcher: Asked) -> dict[str, Any]:
    """Play one attack and return its figures."""
    calm_down(server)
    watcher.ask()
    time.sleep(QUIET_S)
    before, calm = watcher.ask(), server.ask()
    begin, n_played, answers = time.monotonic(), 0, []
    while n_played < attack.most and (not n_played or time.monotonic() - begin < LEAST_S):
        try:
            answers.append(attack.play(port))
        except OSError as fault:
            answers.append(f"{type(fault).__name__}: {fault}")
        n_played += 1
    time.sleep(SETTLE_S)
    during, after = watcher.ask(), server.ask()
    wrong = [answer for answer in answers if answer != attack.expected]
    return {
        "attack": attack.name,
        "expected": attack.expected,
        "seen": wrong[0] if wrong else attack.expected,
        "is_right": not wrong and not during["faults"] and serves(port),
        "n_played": n_played,
        "seconds": round(time.monotonic() - begin, 2),
        "stall_ms": after["stall_ms"],
        "busy_ms": after["busy_ms"],
        "n_late": after["n_late"],
        "calm_stall_ms": calm["stall_ms"],
        "growth_kib": after["rss_kib"] - calm["rss_kib"],
        "peak_kib": after["peak_kib"] - calm["rss_kib"],
        "n_log_lines": after["n_log_lines"],
        "before": before,
        "during": during,
    }


def row_of(figure: dict[str, Any]) -> list[str]:
    """One row of the table."""
    stall = f"{figure['stall_ms']:.1f}"
    seen = figure["seen"]
    if figure["during"]["faults"]:
        seen = f"HARM: an ordinary session heard {figure['during']['faults'][0]}"
    elif not figure["is_right"]:
        seen = f"WRONG: {seen}, expected {figure['expected']}"
    return [
        figure["attack"],
        seen[:110],
        stall if figure["stall_ms"] <= STALL_MS else f"MISS {stall}",
        f"{figure['busy_ms']:.1f}",
        f"{figure['calm_stall_ms']:.1f}",
        f"{figure['peak_kib'] / 1024:.1f}",
        f"{figure['growth_kib'] / 1024:.1f}",
        f"{figure['before']['p99_ms']:.2f}",
        f"{figure['during']['p99_ms']:.2f}",
        str(figure["n_log_lines"]),
    ]


def chosen(patterns: Sequence[str]) -> list[Attack]:
    """Attacks whose names contain one of the patterns; all where there is none."""
    return [attack for attack in ATTACKS if not patterns or any(pattern in attack.name for pattern in patterns)]


def main() -> int:
    """Attack, show and write; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("only", nargs="*", help="play only attacks whose names contain one of these")
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    figures: list[dict[str, Any]] = []
    watched: dict[str, Any] = {"n": 0, "is_exact": False}
    ready: dict[str, Any] = {}
    with running(cores[0], "benchmarks.attack.server") as server:
        ready = server.hear()
        with running(cores[-1], "benchmarks.attack.watcher", str(ready["port"])) as watcher:
            os.sched_setaffinity(0, {cores[-1]})
            os.nice(5)  # the watcher shares the core, and must not wait for the attacker
            try:
                for attack in chosen(arguments.only):
                    figures.append(play(attack, ready["port"], server, watcher))
                    print(f"{attack.name}: {figures[-1]['seen']}", file=sys.stderr, flush=True)
                watcher.end()
                watched = watcher.hear()
            except ChildProcessError as fault:
                print(f"{fault}, in {attack.name}")
    columns = [
        "attack",
        "answer",
        "stall ms",
        "its CPU",
        "calm ms",
        "peak MiB",
        "left MiB",
        "p99 before",
        "p99 during",
        "log lines",
    ]
    report.show(report.Table("Attacks on one server, ordinary sessions beside them", columns, [*map(row_of, figures)]))
    n_wrong = sum(not figure["is_right"] for figure in figures)
    n_slow = sum(figure["stall_ms"] > STALL_MS for figure in figures)
    harm = "bit-equal to the offline run" if watched["is_exact"] else "NOT the offline run's"
    print(
        f"{len(figures)} attacks: {n_wrong} answered wrongly, {n_slow} stalled the loop for more than {STALL_MS:g} ms"
    )
    print(f"ordinary sessions: {watched['n']} outputs, {harm}")
    if not arguments.only:
        about = {"load_average_before": round(load, 2), "limits": ready["limits"], "watched": watched}
        print(f"written: {report.write('attack', {**about, 'attacks': figures}).name}")
    return int(n_wrong > 0 or not watched["is_exact"])


if __name__ == "__main__":
    sys.exit(main())
