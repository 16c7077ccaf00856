"""
Many requests, and what became of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import ceil

from .clients import Answer


class Load:
    """
    The answers to many requests.

    @ivar answers: in the order of the requests.
    """

    def __init__(self, answers: Sequence[Answer]) -> None:
        self.answers = answers

    def __repr__(self) -> str:
        said = ", ".join(f"{n} x {status}" for status, n in self.statuses.items())
        return f"<Load {said}; {len(self.failures)} failed, {self.slowest:.3f}s>"

    @property
    def statuses(self) -> Counter[int]:
        """
        How often each status came; 0: nothing came.
        """
        return Counter(each.status for each in self.answers)

    @property
    def failures(self) -> list[Answer]:
        """
        What clients would call failures.
        """
        return [each for each in self.answers if each.isFailure]

    @property
    def attempts(self) -> Counter[str]:
        """
        How often each server was asked.
        """
        return Counter(name for each in self.answers for name in each.servers)

    @property
    def shares(self) -> dict[str, float]:
        """
        Which part of all attempts each server got.
        """
        attempts = self.attempts
        total = attempts.total() or 1
        return {name: number / total for name, number in attempts.items()}

    @property
    def slowest(self) -> float:
        """
        Simulated seconds of the slowest answer.
        """
        return max((each.seconds for each in self.answers), default=0.0)

    def percentile(self, part: float) -> float:
        """
        Simulated seconds within which so many percent of the answers came.

        @param part: percent: C{99}.
        """
        times = sorted(each.seconds for each in self.answers)
        if not times:
            return 0.0
        return times[min(len(times), max(1, ceil(len(times) * part / 100))) - 1]

    def between(self, begin: float, end: float) -> Load:
        """
        Only requests that were sent from C{begin} on and before C{end}, in seconds
        since the world began.
        """
        return Load([each for each in self.answers if begin <= each.begun < end])

    # ---- assertions -----------------------------------------------------------------

    def assertNoFailures(self) -> Load:
        """
        Every client got a whole response with a status below 500.

        @return: the load itself.
        """
        failures = self.failures
        if failures:
            first = failures[0]
            lines = [
                f"{len(failures)} of {len(self.answers)} failed, the first: {first!r}",
                *first.errors,
            ]
            raise AssertionError("\n".join(lines))
        return self

    def assertShares(self, shares: Mapping[str, float], within: float = 0.05) -> Load:
        """
        Servers got these parts of all attempts, others none.

        @param within: how far off each may be.
        @return: the load itself.
        """
        found = self.shares
        for name in {*shares, *found}:
            if abs(shares.get(name, 0.0) - found.get(name, 0.0)) > within:
                listed = ", ".join(
                    f"{each} {part:.3f}" for each, part in sorted(found.items())
                )
                raise AssertionError(f"the shares are: {listed or 'none'}")
        return self

    def assertWithin(self, seconds: float, part: float = 100) -> Load:
        """
        So many percent of the answers took no longer, in simulated time.

        @return: the load itself.
        """
        took = self.percentile(part)
        if took > seconds:
            raise AssertionError(f"{part:g}% took up to {took:.3f} s")
        return self
