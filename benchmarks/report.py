"""
Figures, their medians, and the tables of RESULTS.md.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path


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
class _Column:
    """
    @ivar value: takes the figure from a round, in the unit of the title.
    @ivar ratio: followed by a column with the ratio to the first contender.
    """

    title: str
    value: Callable[[Figures], float | None]
    form: str
    ratio: bool = False


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


_SECONDS = _Column("seconds", lambda f: f.seconds, "{:.2f}")
_CPU_GIB = _Column("CPU s/GiB", lambda f: f.cpu, "{:.2f}", ratio=True)
_RATE = _Column("requests/s", lambda f: f.rate, "{:,.0f}", ratio=True)
_P99 = _Column("p99 ms", lambda f: _scaled(f.p99, 1e3), "{:.2f}")
_CPU = _Column("CPU µs/request", lambda f: _scaled(f.cpu, 1e6), "{:.1f}", ratio=True)
_MEMORY = _Column(
    "KiB/client", lambda f: _scaled(f.memory, 1 / 1024), "{:.2f}", ratio=True
)

_TABLES: dict[str, tuple[str, list[_Column]]] = {
    "small": ("Small GET, connections kept", [_RATE, _P99, _CPU]),
    "close": ("Small GET, a connection for each", [_RATE, _P99, _CPU]),
    "100k": ("Body of 100 kB, connections kept", [_RATE, _P99, _CPU]),
    "memcached": ("Value of 100 bytes from memcached", [_RATE, _P99, _CPU]),
    "1g": ("Body of 1 GiB", [_SECONDS, _CPU_GIB]),
    "idle": (
        "Idle clients",
        [_MEMORY],
    ),
    "slow": (
        "Body of 1 GiB to a slow reader (4 MiB/s for 10 s, then as fast as it can)",
        [
            _Column(
                "peak growth, MiB", lambda f: _scaled(f.memory, 1 / (1 << 20)), "{:.1f}"
            )
        ],
    ),
}


#: Of L{benchmarks.stream}.
_STREAM_TABLES: dict[str, tuple[str, list[_Column]]] = {
    "download": ("1 GiB from the server", [_SECONDS, _CPU_GIB]),
    "upload": ("1 GiB from the client", [_SECONDS, _CPU_GIB]),
    "pingpong": ("Request and response, connections kept", [_RATE, _P99, _CPU]),
    "connect": ("Request and response, a connection for each", [_RATE, _P99, _CPU]),
    "idle": ("Idle sessions", [replace(_MEMORY, title="KiB/session")]),
    "burst": ("A burst of connections, each with a request", [_SECONDS]),
}


def report(
    figures: Mapping[str, Mapping[str, Sequence[Figures]]],
    contenders: Sequence[str],
    *,
    connections: int,
    idle: int,
) -> str:
    """
    The text of RESULTS.md: medians over the rounds, ratios to the first contender.
    """
    lines = [
        "# Benchmark results",
        "",
        f"Written by `python -m benchmarks`, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."
        f"  {connections} connections; {idle:,} idle clients.",
        "Each proxy alone on one core; nginx as the back end and the clients share"
        " another, which limits the rate of the fastest: compare CPU time.",
        "Medians of interleaved rounds; in brackets the ratio to nginx.",
        "",
        *(f"- {line}" for line in _machine()),
        *_tables(_TABLES, figures, contenders),
    ]
    return "\n".join(lines) + "\n"


def streamReport(
    figures: Mapping[str, Mapping[str, Sequence[Figures]]],
    contenders: Sequence[str],
    *,
    connections: int,
    idle: int,
    burst: int,
) -> str:
    """
    The text of STREAM.md, in the same way.
    """
    lines = [
        "# Benchmark results of stream",
        "",
        f"Written by `python -m benchmarks.stream`, {datetime.now(UTC):%Y-%m-%d %H:%M}"
        f" UTC.  {connections} connections; {idle:,} idle sessions; bursts of"
        f" {burst:,}.",
        "Each proxy alone on one core, TCP through `stream` or `mode tcp` with the"
        " defaults of each; nginx as the server and the clients share another, which"
        " limits rates and seconds: compare CPU time, which the scheduler counts.",
        "Medians of interleaved rounds; in brackets the ratio to nginx.",
        "",
        *(f"- {line}" for line in _machine()),
        *_tables(_STREAM_TABLES, figures, contenders),
    ]
    return "\n".join(lines) + "\n"


def _tables(
    tables: Mapping[str, tuple[str, list[_Column]]],
    figures: Mapping[str, Mapping[str, Sequence[Figures]]],
    contenders: Sequence[str],
) -> list[str]:
    """
    The lines of all scenarios that there are figures of.
    """
    lines: list[str] = []
    for scenario, rows in figures.items():
        title, columns = tables[scenario]
        lines += ["", f"## {title}", ""]
        lines.append("| | " + " | ".join(column.title for column in columns) + " | |")
        lines.append("|---|" + "---:|" * len(columns) + "---|")
        for name in contenders:
            if name not in rows:
                continue
            cells = [
                _cell(column, rows[name], rows[contenders[0]]) for column in columns
            ]
            notes = sorted({f.failure for f in rows[name] if f.failure})
            errors = sum(f.errors for f in rows[name])
            if errors:
                notes.append(f"{errors} errors")
            lines.append(
                f"| {name} | " + " | ".join(cells) + f" | {'; '.join(notes)} |"
            )
    return lines


def _median(column: _Column, rounds: Sequence[Figures]) -> float | None:
    values = [value for value in map(column.value, rounds) if value is not None]
    return statistics.median(values) if values else None


def _cell(column: _Column, rounds: Sequence[Figures], first: Sequence[Figures]) -> str:
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
