"""
What the process does to itself: goes into the background, writes its number, takes
limits, becomes another user, sends standard error into a file.

nginx: os/unix/ngx_daemon.c, core/ngx_cycle.c (ngx_create_pidfile),
os/unix/ngx_process_cycle.c (ngx_worker_process_init)
"""

from __future__ import annotations

import errno
import fcntl
import gc
import os
import resource
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ..logs.files import describe

if TYPE_CHECKING:
    from ..logs.error_log import ErrorLog
    from ..logs.files import LogFile
    from ..logs.logs import Logs
    from .options import Account, MainOptions


class StartError(Exception):
    """
    The process cannot start as it should; the text is ready for the log.
    """


def daemonize() -> Callable[[], None]:
    """
    Fork; return in the child, detached from the terminal except for standard error.

    The parent waits: it ends with 0 when the child calls what is returned, with 1 if
    the child ends before.  Fork before the reactor exists, for two processes cannot
    share one epoll set.

    nginx: ngx_daemon(), whose parent ends at once, before the pid file is there.
    """
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fork():
        os.close(writer)
        started = os.read(reader, 1)
        # Nothing that was set up before the fork is ours to tear down.
        os._exit(0 if started else 1)
    os.close(reader)
    os.setsid()
    os.umask(0)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    if null > 2:
        os.close(null)

    def ready() -> None:
        os.write(writer, b"1")
        os.close(writer)

    return ready


class PidFile:
    """
    The file with the process's number, locked for as long as the process lives.

    Nginx has no lock: there a second start overwrites the number of the first.

    @ivar path: absolute.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = -1

    def checkFree(self) -> None:
        """
        Make sure that no living process holds the file; does not create it.

        @raise StartError: one does.
        """
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            # Usually it does not exist; whatever else is wrong, write() will say.
            return
        try:
            self._lock(fd)
        finally:
            os.close(fd)

    def _lock(self, fd: int) -> None:
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            if e.errno in (errno.EACCES, errno.EAGAIN):
                owner = os.pread(fd, 20, 0).decode("ascii", "replace").strip()
                raise StartError(f"already running (pid {owner})") from None
            # A file system without locks is no reason not to start.

    def write(self) -> None:
        """
        Write the number of this process and a line feed.

        @raise StartError: another process holds it, or it cannot be written.
        """
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as e:
            raise StartError(f'open() "{self.path}" failed{describe(e)}') from None
        try:
            self._lock(fd)
            os.ftruncate(fd, 0)
            os.write(fd, b"%d\n" % os.getpid())
        except OSError as e:
            os.close(fd)
            raise StartError(f'write() to "{self.path}" failed{describe(e)}') from None
        except StartError:
            os.close(fd)
            raise
        self._fd = fd

    def move(self, path: str) -> None:
        """
        Go over to another path: the new file is written, then the old one removed.

        @raise StartError: the new one cannot be written; the old one stays.
        """
        if path == self.path:
            return
        fresh = PidFile(path)
        fresh.write()
        self.remove()
        self.path, self._fd = fresh.path, fresh._fd

    def remove(self) -> None:
        """
        Remove the file, if it is still the one that was written.

        @raise StartError: it cannot be removed.
        """
        if self._fd < 0:
            return
        try:
            if os.path.samestat(os.fstat(self._fd), os.stat(self.path)):
                os.unlink(self.path)
        except FileNotFoundError:
            # Somebody was faster; the wish is fulfilled.
            pass
        except OSError as e:
            # At least nobody shall send signals to whoever gets this number next.
            os.ftruncate(self._fd, 0)
            raise StartError(f'unlink() "{self.path}" failed{describe(e)}') from None
        finally:
            os.close(self._fd)
            self._fd = -1


def applyLimits(options: MainOptions, log: ErrorLog) -> None:
    """
    Set environment, priority, resource limits, processors and directory.  A limit
    that the system refuses is logged.

    @raise StartError: the directory cannot be entered.
    """
    for name, value in options.environment:
        if value is not None:
            os.environ[name] = value

    def attempt(what: str, call: Callable[[], object]) -> None:
        try:
            call()
        # AttributeError: the system has no such call.
        except (OSError, ValueError, AttributeError) as e:
            number = (e.errno or 0) if isinstance(e, OSError) else errno.EPERM
            log.write("error", f"{what} failed", number)

    priority, affinity = options.priority, options.affinity
    if priority is not None:
        attempt(
            f"setpriority({priority})",
            lambda: os.setpriority(os.PRIO_PROCESS, 0, priority),
        )
    for kind, name, limit in (
        (resource.RLIMIT_NOFILE, "RLIMIT_NOFILE", options.rlimitNoFile),
        (resource.RLIMIT_CORE, "RLIMIT_CORE", options.rlimitCore),
    ):
        if limit is not None:
            pair = (limit, limit)
            attempt(
                f"setrlimit({name}, {limit})",
                lambda kind=kind, pair=pair: resource.setrlimit(kind, pair),  # type: ignore[misc]  # bound now
            )
    if affinity is not None:
        attempt("sched_setaffinity()", lambda: os.sched_setaffinity(0, affinity))
    directory = options.workingDirectory
    if directory is not None:
        try:
            os.chdir(directory)
        except OSError as e:
            raise StartError(f'chdir("{directory}") failed{describe(e)}') from None


def becomeUser(account: Account, descriptors: Iterable[int]) -> None:
    """
    Give up root for good.

    @param descriptors: open files that the user must own, so that logs can be
        opened anew later.
    @raise StartError: the system refuses.
    """
    call = "fchown()"
    try:
        for fd in descriptors:
            os.fchown(fd, account.uid, account.gid)
        call = f"setgid({account.gid})"
        os.setgid(account.gid)
        call = f'initgroups("{account.user}", {account.gid})'
        os.initgroups(account.user, account.gid)
        call = f"setuid({account.uid})"
        os.setuid(account.uid)
    except OSError as e:
        raise StartError(f"{call} failed{describe(e)}") from None


def changeProcess(options: MainOptions, logs: Logs) -> None:
    """
    Set limits, then give up root if the configuration names a user.  What was loaded
    by now remains: no garbage collection looks at it again, as that takes CPython as
    long as a thousand requests.

    @raise StartError: the directory or the user is not to be had.
    """
    applyLimits(options, logs.main)
    if options.user is not None:
        becomeUser(options.user, logs.descriptors)
    gc.collect()
    if hasattr(gc, "freeze"):
        gc.freeze()


def redirectStderr(file: LogFile) -> None:
    """
    Make descriptor 2 the same file.
    """
    os.dup2(file.fd, 2)
