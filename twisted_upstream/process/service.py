"""
The running proxy: starts, obeys signals, reloads, drains, stops.

One process is nginx's master and its worker: two configurations overlap inside it
during a reload, and the lines that nginx's old workers would log are written when the
old configuration has drained.

nginx: os/unix/ngx_process_cycle.c, os/unix/ngx_process.c (ngx_signal_handler)
"""

from __future__ import annotations

import os
import platform
import resource
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.python.failure import Failure

from ..config.syntax import ConfigError
from .daemon import PidFile, StartError, changeProcess, redirectStderr
from .generation import Generation
from .modules import NGINX_VERSION
from .observer import compactFailure
from .signals import MEANING, OBEYED

if TYPE_CHECKING:
    from ..logs.error_log import ErrorLog
    from ..logs.logs import Logs
    from .options import MainOptions


class UpstreamService(Service):
    """
    The proxy as a Twisted service.

    C{privilegedStartService} opens logs and sockets, C{startService} writes the pid
    file, gives up root and begins to accept; both raise L{StartError}, after it was
    logged, and leave nothing behind.

    @ivar current: the configuration that serves.
    """

    def __init__(
        self,
        reactor: Any,
        first: Generation,
        prepare: Callable[[], Generation],
        *,
        ownsProcess: bool = True,
        becomes: Callable[[MainOptions, Logs], object] | None = None,
    ) -> None:
        """
        @param reactor: C{IReactorTime}, C{IReactorCore}, C{IReactorFromThreads}.
        @param prepare: reads the configuration again, for a reload.
        @param ownsProcess: pid file, user, limits and standard error are ours;
            C{False} under C{twistd}, which has its own options for them.
        @param becomes: for tests: stands in for what changes the process itself.
        """
        self._reactor = reactor
        self._prepare = prepare
        self._ownsProcess = ownsProcess
        self._becomes = becomes or changeProcess
        self.current = first
        self._pidFile = PidFile(first.pidPath)
        self._draining: list[Generation] = []
        self._pending: list[int] = []
        self._accepting = False
        self._scheduled = False
        self._quitting = False
        self._ended = False

    # ---- start -----------------------------------------------------------------

    def privilegedStartService(self) -> None:
        """
        Open logs and sockets.

        @raise StartError: something cannot be opened.
        """
        super().privilegedStartService()
        first = self.current
        try:
            if self._ownsProcess:
                self._pidFile.checkFree()
            first.logs.open()
            first.cycle.open(None)
        except Exception as e:
            raise self._startFailed(e) from None

    def startService(self) -> None:
        """
        Begin to serve.

        @raise StartError: pid file, user or directory are not to be had.
        """
        super().startService()
        first = self.current
        self._sayWarnings(first)
        self._sayVersion(first.log)
        try:
            if self._ownsProcess:
                # All sockets listen by now: who sees the file may connect.
                first.logs.makeDefaultDirectory(self._pidFile.path)
                self._pidFile.write()
                self._becomes(first.options, first.logs)
                self._redirectStderr()
            first.cycle.start()
        except Exception as e:
            first.cycle.stop()
            self._removePidFile()
            raise self._startFailed(e) from None
        self._sayWorkers(first)
        self._accepting = True
        self._wake()

    def _startFailed(self, error: Exception) -> StartError:
        first = self.current
        text = self._complain(first.log, error)
        first.logs.close()
        self._ended = True
        return StartError(text)

    def _complain(self, log: ErrorLog, error: Exception) -> str:
        """
        Log why a configuration cannot be used.
        """
        if isinstance(error, ConfigError):
            for problem in error.problems:
                log.write(problem.level, str(problem))
            return str(error.problems[0])
        text = str(error)
        if not type(error).__module__.startswith("twisted_upstream."):
            # Our own exceptions speak to the operator; any other is a mistake, and
            # whoever mends it needs to know where it happened.
            text = compactFailure(Failure(error))
        log.write("emerg", text)
        return text

    def _sayWarnings(self, generation: Generation) -> None:
        for problem in generation.warnings:
            generation.log.write(problem.level, str(problem))

    def _sayVersion(self, log: ErrorLog) -> None:
        log.write("notice", f'using the "{eventMethod(self._reactor)}" event method')
        log.write("notice", f"nginx/{NGINX_VERSION}")
        log.write(
            "notice",
            f"built by {platform.python_implementation()} {platform.python_version()}",
        )
        system = os.uname()
        log.write("notice", f"OS: {system.sysname} {system.release}")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        log.write("notice", f"getrlimit(RLIMIT_NOFILE): {soft}:{hard}")

    def _sayWorkers(self, generation: Generation) -> None:
        log = generation.log
        wanted = generation.options.workerProcesses
        if wanted != 1:
            log.write(
                "notice", f'"worker_processes" is {wanted}: one process serves for all'
            )
        log.write("notice", "start worker processes")
        log.write("notice", f"start worker process {os.getpid()}")

    def _redirectStderr(self) -> None:
        """
        Send what libraries print on standard error into the first error log file.

        nginx: ngx_log_redirect_stderr()
        """
        logs = self.current.logs
        file = logs.mainFile
        if self._ownsProcess and not logs.usesStderr and file is not None:
            redirectStderr(file)

    # ---- signals ---------------------------------------------------------------

    def signalReceived(self, number: int) -> None:
        """
        Remember a signal and see to it once the process is ready for it.

        Called by a signal handler between any two steps of the main thread, also
        while starting or reloading: nothing may happen here.  The same signal twice
        before it is obeyed is one.
        """
        if number not in self._pending:
            self._pending.append(number)
        self._wake()

    def _wake(self) -> None:
        if self._accepting and self._pending and not self._scheduled:
            self._scheduled = True
            self._reactor.callFromThread(self._obey)

    def _obey(self) -> None:
        try:
            while self._pending and not self._ended:
                number = min(self._pending, key=OBEYED.index)
                self._pending.remove(number)
                self._act(number)
        finally:
            self._scheduled = False

    def _act(self, number: int) -> None:
        meaning = MEANING[signal.Signals(number)]
        if number == signal.SIGHUP and self._quitting:
            meaning = ", ignoring"
        name = signal.Signals(number).name
        self.current.log.write("notice", f"signal {number} ({name}) received{meaning}")
        if number in (signal.SIGTERM, signal.SIGINT):
            self.terminate()
        elif number == signal.SIGQUIT:
            self.quit()
        elif number == signal.SIGUSR1:
            self.reopenLogs()
        elif number == signal.SIGHUP and not self._quitting:
            self.reload()

    # ---- reload ----------------------------------------------------------------

    def reload(self) -> bool:
        """
        Read the configuration again and serve by it; the old one drains.

        @return: C{False} if the new one cannot be used: it was logged why, and the
            old one goes on.
        """
        old = self.current
        old.log.write("notice", "reconfiguring")
        new = None
        try:
            new = self._prepare()
            new.logs.open()
            if self._ownsProcess:
                self._pidFile.move(new.pidPath)
            new.cycle.open(old.cycle)
        except Exception as e:
            self._complain(old.log, e)
            if new is not None:
                new.logs.close()
                if self._ownsProcess:
                    self._pidFile.move(old.pidPath)
            return False
        new.cycle.start()
        self.current = new
        self._redirectStderr()
        self._sayWarnings(new)
        new.log.write(
            "notice", f'using the "{eventMethod(self._reactor)}" event method'
        )
        self._sayWorkers(new)
        self._drain(old)
        return True

    def _drain(self, generation: Generation) -> None:
        self._draining.append(generation)
        generation.log.write("notice", "gracefully shutting down")
        timeout = generation.options.shutdownTimeout
        if timeout:
            generation.shutdownTimer = self._reactor.callLater(
                timeout, self._drainedTooLong, generation
            )
        done = generation.cycle.drain()
        done.addErrback(self._drainFailed, generation)
        done.addCallback(lambda _: self._drained(generation))

    def _drainedTooLong(self, generation: Generation) -> None:
        generation.shutdownTimer = None
        generation.log.write("info", "shutdown timeout")
        generation.cycle.stop()
        # Usually this fired the Deferred of drain(); then there is nothing left.
        self._drained(generation)

    def _drainFailed(self, failure: Failure, generation: Generation) -> None:
        generation.log.write("crit", f"draining failed: {compactFailure(failure)}")
        generation.cycle.stop()

    def _drained(self, generation: Generation) -> None:
        if generation not in self._draining:
            return
        self._draining.remove(generation)
        self._cancelTimer(generation)
        if generation is not self.current:
            self._sayExited(generation)
            generation.logs.close()
        if self._quitting and not self._draining:
            self._end()

    def _cancelTimer(self, generation: Generation) -> None:
        if generation.shutdownTimer is not None:
            generation.shutdownTimer.cancel()
            generation.shutdownTimer = None

    def _sayExited(self, generation: Generation) -> None:
        generation.log.write("notice", "exiting")
        generation.log.write("notice", "exit")
        self.current.log.write(
            "notice", f"worker process {os.getpid()} exited with code 0"
        )

    # ---- logs ------------------------------------------------------------------

    def reopenLogs(self) -> None:
        """
        Open the log files of all configurations anew; in every state.
        """
        self.current.log.write("notice", "reopening logs")
        for generation in self._everyone():
            generation.cycle.reopenLogs()
        self._redirectStderr()

    # ---- end -------------------------------------------------------------------

    def quit(self) -> None:
        """
        Stop accepting, finish what is under way, then end.
        """
        if self._quitting or self._ended:
            return
        self._quitting = True
        # The last of them ends the process, so it must know of the others first.
        current = self.current
        self._drain(current)

    def terminate(self) -> None:
        """
        End at once; requests under way are cut.
        """
        if self._ended:
            return
        for generation in self._everyone():
            self._cancelTimer(generation)
        self._accepting = False
        draining, self._draining = self._everyone(), []
        for generation in draining:
            generation.cycle.stop()
        self._end()

    def _everyone(self) -> list[Generation]:
        others = [g for g in self._draining if g is not self.current]
        return [*others, self.current]

    def _end(self) -> None:
        if self._close():
            self._reactor.stop()

    def _close(self) -> bool:
        if self._ended:
            return False
        self._ended = True
        self._sayExited(self.current)
        self.current.log.write("notice", "exit")
        self._removePidFile()
        for generation in self._everyone():
            generation.logs.close()
        return True

    def _removePidFile(self) -> None:
        try:
            self._pidFile.remove()
        except StartError as e:
            # A user without root may not write where root put the file.
            self.current.log.write("warn", str(e))

    def stopService(self) -> None:
        """
        End at once, because the reactor or the parent service ends.
        """
        super().stopService()
        if self._ended:
            return
        for generation in self._everyone():
            self._cancelTimer(generation)
            generation.cycle.stop()
        self._draining.clear()
        self._close()


def eventMethod(reactor: object) -> str:
    """
    Nginx's word for how the reactor asks for events: C{epoll}.
    """
    name = type(reactor).__name__.lower()
    for word in ("epoll", "kqueue", "asyncio", "poll", "select"):
        if word in name:
            return word
    return name.removesuffix("reactor") or "unknown"
