"""
Figures, their medians, and the text of the reports.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.rounds import Rounds, Scenario


@dataclass(frozen=True)
class Figures:
    """
    One round of one contender; C{None} is what the scenario does not measure.

    @ivar rate: responses per second.
    @ivar p99: seconds.
    @ivar cpu: seconds of processor time, for one request or one download.
    @ivar seconds: of one download.
    @ivar memory: bytes, for one client or in all.
    @ivar errors: failed requests or lost clients.
    @ivar failure: why there is no figure.
    """

    rate: float | None = None
    p99: float | None = None
    cpu: float | None = None
    seconds: float | None = None
    memory: float | None = None
    errors: int = 0
    failure: str = ""

    def __str__(self) -> str:
        if self.failure:
            return self.failure
        parts = [
            f"{self.rate:.0f}/s" if self.rate is not None else "",
            f"p99 {self.p99 * 1e3:.2f} ms" if self.p99 is not None else "",
            f"cpu {self.cpu * 1e6:.1f} us" if self.cpu is not None else "",
            f"{self.seconds:.2f} s" if self.seconds is not None else "",
            f"{self.memory / 1024:.1f} KiB" if self.memory is not None else "",
            f"{self.errors} errors" if self.errors else "",
        ]
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class Column:
    """
    What is told of a round.

    @ivar value: takes the figure from a round, in the unit of the title.
    @ivar form: of the text.
    @ivar ratio: is the ratio to the first contender told too?
    """

    title: str
    value: Callable[[Figures], float | None]
    form: str
    ratio: bool = False


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


SECONDS = Column("seconds", lambda f: f.seconds, "{:.2f}")
CPU_GIB = Column("CPU s/GiB", lambda f: f.cpu, "{:.2f}", ratio=True)
RATE = Column("requests/s", lambda f: f.rate, "{:,.0f}", ratio=True)
P99 = Column("p99 ms", lambda f: _scaled(f.p99, 1e3), "{:.2f}")
CPU = Column("CPU µs/request", lambda f: _scaled(f.cpu, 1e6), "{:.1f}", ratio=True)
MEMORY = Column(
    "KiB/client", lambda f: _scaled(f.memory, 1 / 1024), "{:.2f}", ratio=True
)
GROWTH = Column(
    "peak growth, MiB", lambda f: _scaled(f.memory, 1 / (1 << 20)), "{:.1f}"
)

#: Why there are two figures for the same request.
EQUAL_RATE = (
    "Where clients ask again as soon as they have an answer, the fastest proxy keeps"
    " the processor of server and clients so busy that its `send()` never has to wake"
    " one of them, while a slower one pays for that interrupt with each request. Where"
    " the rate is the same for all, low enough for all to reach it within 3 % and"
    " evenly spread, all pay alike; there an answer's time counts from when its request"
    " was due.",
)


def heading(title: str, module: str, said: str, *remarks: str) -> list[str]:
    """
    The lines that a report begins with.

    @param module: what has written it.
    @param said: how it was told to measure.
    """
    return [
        f"# {title}",
        "",
        f"Written by `python -m {module}`, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."
        f"  {said}",
        *remarks,
        "Medians of interleaved rounds; in brackets the ratio to nginx.",
        "",
        *(f"- {line}" for line in _machine()),
    ]


def tables(scenarios: Iterable[Scenario], rounds: Rounds) -> list[str]:
    """
    A table for each scenario that there are figures of, with a row for each contender.
    """
    lines: list[str] = []
    for scenario in scenarios:
        rows = rounds.figures.get(scenario.name)
        if rows is None:
            continue
        columns = scenario.columns
        lines += ["", f"## {scenario.title}", ""]
        lines.append("| | " + " | ".join(column.title for column in columns) + " | |")
        lines.append("|---|" + "---:|" * len(columns) + "---|")
        first = rows.get(rounds.names[0], ())
        for name in rounds.names:
            if name in rows:
                cells = [_cell(column, rows[name], first) for column in columns]
                notes = "; ".join(_notes(rows[name]))
                lines.append(f"| {name} | " + " | ".join(cells) + f" | {notes} |")
    return lines


def table(scenarios: Iterable[Scenario], rounds: Rounds) -> list[str]:
    """
    One table with a row for each scenario, of its first column, and a column for each
    contender.
    """
    lines = ["", "| | " + " | ".join(rounds.names) + " |"]
    lines.append("|---|" + "---:|" * len(rounds.names))
    for scenario in scenarios:
        rows = rounds.figures.get(scenario.name)
        if rows is None:
            continue
        first = rows.get(rounds.names[0], ())
        cells = []
        for name in rounds.names:
            figures = rows.get(name, ())
            words = [_cell(scenario.columns[0], figures, first), *_notes(figures)]
            cells.append("; ".join(words))
        lines.append(f"| {scenario.title} | " + " | ".join(cells) + " |")
    return lines


def _notes(figures: Sequence[Figures]) -> list[str]:
    notes = sorted({f.failure for f in figures if f.failure})
    errors = sum(f.errors for f in figures)
    return [*notes, f"{errors} errors"] if errors else notes


def _median(column: Column, rounds: Sequence[Figures]) -> float | None:
    values = [value for value in map(column.value, rounds) if value is not None]
    return statistics.median(values) if values else None


def _cell(column: Column, rounds: Sequence[Figures], first: Sequence[Figures]) -> str:
    value, base = _median(column, rounds), _median(column, first)
    if value is None:
        return "–"
    text = column.form.format(value)
    if column.ratio and base:
        text += f" ({value / base:.2f})"
    return text


def _machine() -> list[str]:
    """
    Where and with what.
    """
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    versions = [
        f"{name} {importlib.metadata.version(name)}"
        for name in ("Twisted", "zope.interface")
    ]
    generator = "wrk" if shutil.which("wrk") else "benchmarks/load.py"
    return [
        f"{os.cpu_count()} × {model}, {platform.system()} {platform.release()}",
        f"{', '.join(versions)}; load by {generator}",
    ]
