"""
What a process and its children have used, from /proc.
"""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")


def family(pid: int) -> list[int]:
    """
    C{pid} and all its descendants.
    """
    parents: dict[int, int] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue  # it ended while we looked
            # The name in parentheses may hold anything, also parentheses.
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:
        found.extend(child for child, parent in parents.items() if parent == one)
    return found


def cpuSeconds(pid: int) -> float:
    """
    Seconds of processor time, user and system, of C{pid} and its descendants.

    The scheduler's own count, in nanoseconds, where the kernel keeps it; clock ticks
    elsewhere.
    """
    total = 0.0
    for one in family(pid):
        for task in (_PROC / str(one) / "task").iterdir():
            try:
                total += int((task / "schedstat").read_text().split()[0]) / 1e9
            except FileNotFoundError:
                fields = (task / "stat").read_text().rpartition(")")[2].split()
                total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def _status(pid: int, field: str) -> int:
    """
    A field of /proc/PID/status, given there in KiB, in bytes; the sum of the family.
    """
    total = 0
    for one in family(pid):
        for line in (_PROC / str(one) / "status").read_text().splitlines():
            if line.startswith(field + ":"):
                total += int(line.split()[1]) * 1024
    return total


def residentBytes(pid: int) -> int:
    """
    Resident memory of C{pid} and its descendants now.
    """
    return _status(pid, "VmRSS")


def peakBytes(pid: int) -> int:
    """
    The most resident memory that they had since L{forgetPeak}.
    """
    return _status(pid, "VmHWM")


def forgetPeak(pid: int) -> None:
    """
    Let the peak be what is resident now.
    """
    for one in family(pid):
        (_PROC / str(one) / "clear_refs").write_text("5")
