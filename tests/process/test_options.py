"""
Tests for L{twisted_upstream.process.options}.
"""

from __future__ import annotations

import os

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from twisted_upstream.config.build import Block, Grammar
from twisted_upstream.config.nodes import ConfigError
from twisted_upstream.config.syntax import parse
from twisted_upstream.process.options import (
    EventsOptions,
    MainOptions,
    availableProcessors,
    eventsBlock,
)


class OptionsCase(SynchronousTestCase):
    """
    Configurations with nothing but these options.
    """

    def build(self, text: str) -> Block:
        """
        The main level.
        """
        self.grammar = Grammar()
        self.grammar.add(MainOptions)
        self.grammar.add(EventsOptions)
        return self.grammar.build(parse(text, "x.conf"))

    def main(self, text: str) -> MainOptions:
        """
        Options of the main level.
        """
        return self.build(text).of(MainOptions)

    def message(self, text: str) -> str:
        """
        What is wrong.
        """
        return str(self.assertRaises(ConfigError, self.build, text))


class MainOptionsTests(OptionsCase):
    """
    L{MainOptions}.
    """

    def test_defaults(self) -> None:
        """
        An empty configuration means what it means for nginx.
        """
        options = self.main("")
        self.assertTrue(options.daemon)
        self.assertEqual(options.workerProcesses, 1)
        self.assertEqual(options.pid, "logs/nginx.pid")
        self.assertIsNone(options.user)

    def test_workers(self) -> None:
        """
        C{auto} counts processors; garbage is refused.
        """
        self.assertEqual(self.main("worker_processes 3;").workerProcesses, 3)
        self.assertEqual(
            self.main("worker_processes auto;").workerProcesses, availableProcessors()
        )
        self.assertEqual(
            self.message("worker_processes 0;"),
            '"worker_processes" directive invalid value in x.conf:1',
        )

    def test_processors(self) -> None:
        """
        There is at least one processor, and never more than we may run on.
        """
        most = os.cpu_count() or 1
        if hasattr(os, "sched_getaffinity"):
            most = len(os.sched_getaffinity(0))
        self.assertIn(availableProcessors(), range(1, most + 1))

    def test_environment(self) -> None:
        """
        C{env} may be repeated, with and without a value.
        """
        self.assertEqual(
            self.main("env A; env B=1=2;").environment, (("A", None), ("B", "1=2"))
        )

    def test_affinity(self) -> None:
        """
        The first mask counts, its rightmost bit being the first processor.
        """
        for text, expected in (
            ("0110", {1, 2}),
            ("01 10", {0}),
            ("auto 0110", {1}),
        ):
            options = self.main(f"worker_cpu_affinity {text};")
            self.assertEqual(options.affinity, expected)
        self.assertIsNone(self.main("worker_cpu_affinity auto;").affinity)
        self.assertEqual(
            self.message("worker_cpu_affinity 012;"),
            'invalid character "2" in "worker_cpu_affinity" in x.conf:1',
        )

    def test_user(self) -> None:
        """
        Root may become a user that there is, and the group of that name or another.
        """
        if os.geteuid() != 0:
            raise SkipTest("not root")
        account = self.main("user root;").user
        assert account is not None
        self.assertEqual((account.uid, account.gid), (0, 0))
        self.assertEqual(
            self.message("user nosuchuser;"),
            'getpwnam("nosuchuser") failed in x.conf:1',
        )
        self.assertEqual(
            self.message("user root nosuchgroup;"),
            'getgrnam("nosuchgroup") failed in x.conf:1',
        )

    def test_userNotRoot(self) -> None:
        """
        Who is not root is warned that C{user} changes nothing.
        """
        if os.geteuid() == 0:
            raise SkipTest("root")
        self.assertIsNone(self.main("user nobody;").user)
        (warning,) = self.grammar.warnings
        self.assertIn('the "user" directive makes sense only if', str(warning))

    def test_threadPool(self) -> None:
        """
        Pools are accepted if they are written as nginx wants them.
        """
        text = "thread_pool default threads=4 max_queue=10;"
        self.assertEqual(self.main(text).threadPools, ("default",))
        self.assertEqual(
            self.message("thread_pool default threads=0;"),
            'invalid threads value "threads=0" in x.conf:1',
        )

    def test_refused(self) -> None:
        """
        Numbers must be numbers.
        """
        for text, message in (
            ("worker_priority high;", '"worker_priority" directive invalid number'),
            (
                "worker_rlimit_nofile 0;",
                '"worker_rlimit_nofile" directive invalid value',
            ),
            ("debug_points go;", 'invalid value "go"'),
        ):
            self.assertEqual(self.message(text), f"{message} in x.conf:1")


class EventsOptionsTests(OptionsCase):
    """
    L{EventsOptions}.
    """

    def events(self, text: str) -> EventsOptions:
        """
        Options of C{events}.
        """
        return eventsBlock(self.build(f"events {{ {text} }}")).of(EventsOptions)

    def test_defaults(self) -> None:
        """
        An empty block has nginx's defaults.
        """
        options = self.events("")
        self.assertEqual(options.workerConnections, 512)
        self.assertFalse(options.multiAccept)
        self.assertIsNone(options.use)

    def test_values(self) -> None:
        """
        Values are read.
        """
        options = self.events("worker_connections 9; multi_accept on; use poll;")
        self.assertEqual(options.workerConnections, 9)
        self.assertTrue(options.multiAccept)
        self.assertEqual(options.use, "poll")

    def test_unknownMethod(self) -> None:
        """
        A way of asking for events that we do not have is refused.
        """
        self.assertEqual(
            self.message("events { use rtsig; }"),
            'invalid event type "rtsig" in x.conf:1',
        )

    def test_missing(self) -> None:
        """
        Without the block there is nginx's message, which has no place.
        """
        error = self.assertRaises(ConfigError, eventsBlock, self.build("daemon off;"))
        self.assertEqual(str(error), 'no "events" section in configuration')

    def test_twice(self) -> None:
        """
        A second block is refused.
        """
        self.assertEqual(
            self.message("events { } events { }"),
            '"events" directive is duplicate in x.conf:1',
        )
