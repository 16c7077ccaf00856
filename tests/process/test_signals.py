"""
Tests for L{twisted_upstream.process.signals}.
"""

from __future__ import annotations

import os
import signal

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.process.signals import MEANING, OBEYED, SignalHandlers


class SignalHandlersTests(SynchronousTestCase):
    """
    L{SignalHandlers}.
    """

    def handlers(self, number: int) -> list[int]:
        """
        Handle one signal until the test ends; the numbers that arrived.
        """
        received: list[int] = []
        handlers = SignalHandlers([number], received.append)
        handlers.install()
        self.addCleanup(handlers.restore)
        return received

    def test_received(self) -> None:
        """
        A signal of the operating system is given on.
        """
        received = self.handlers(signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)
        self.assertEqual(received, [signal.SIGHUP])

    def test_restore(self) -> None:
        """
        Afterwards the old handler is back.
        """
        before = signal.getsignal(signal.SIGHUP)
        handlers = SignalHandlers([signal.SIGHUP], print)
        handlers.install()
        self.assertNotEqual(signal.getsignal(signal.SIGHUP), before)
        handlers.restore()
        self.assertEqual(signal.getsignal(signal.SIGHUP), before)

    def test_rotation(self) -> None:
        """
        Who rotated logs before us at C{USR1} still does.
        """
        calls: list[int] = []
        before = signal.signal(signal.SIGUSR1, lambda number, _: calls.append(number))
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        received = self.handlers(signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR1)
        self.assertEqual((received, calls), ([signal.SIGUSR1], [signal.SIGUSR1]))

    def test_allHaveMeaning(self) -> None:
        """
        Each signal that is obeyed has its words for the log.
        """
        self.assertEqual(set(OBEYED), set(MEANING))
