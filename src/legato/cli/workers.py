"""Several gateways on one address: a parent that starts them, replaces what dies, and passes on the signal to stop."""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from types import FrameType
from typing import NamedTuple, NoReturn

import click

from legato.cli.terminal import warn
from legato.model.settings import Settings

SHORT_LIFE = 5.0  # seconds; a worker that lived for less is not started again at once
PAUSE = 1.0
STOPPING = (signal.SIGTERM, signal.SIGINT)


class Worker(NamedTuple):
    """What a worker has from its parent.

    `sockets` are those that all accept from, `leash` a pipe that ends with the parent, `folder` where they keep
    their counters. `speaks` says that it is the one to tell what it found at the start.
    """

    sockets: Sequence[socket.socket]
    leash: int
    folder: str
    speaks: bool


Serve = Callable[[Settings, Worker], None]


def serve_with_workers(settings: Settings, sockets: Sequence[socket.socket], count: int, serve: Serve) -> NoReturn:
    """Keep `count` workers serving on these sockets until told to stop; ends the process."""
    with ExitStack() as stack:
        for each in sockets:
            stack.enter_context(each)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="legato-"))
        warn(f"legato serves on {settings.listen} with {count} workers")
        status = _Crew(settings, sockets, serve, folder).work(count)
    sys.exit(status)


class _Crew:
    def __init__(self, settings: Settings, sockets: Sequence[socket.socket], serve: Serve, folder: str) -> None:
        self._settings = settings
        self._sockets = sockets
        self._serve = serve
        self._folder = folder
        self._held, self._leash = os.pipe()  # its writing end is ours alone: it ends when we do
        self._started: dict[int, float] = {}
        self._stopping = False

    def work(self, count: int) -> int:
        """Exit status: 0 when told to stop, that of a worker which cannot serve at all."""
        for number in STOPPING:
            signal.signal(number, self._stop)
        for number in range(count):
            self._start(speaks=number == 0)
        while self._started:
            try:
                pid, result = os.wait()
            except InterruptedError:
                continue
            born = self._started.pop(pid, None)
            if born is None or self._stopping:  # an orphan that somebody left us is no worker of ours
                continue
            lived = time.monotonic() - born
            status = os.waitstatus_to_exitcode(result)
            if status in (2, 3):  # wrong usage, no store: another would end the same way
                self._stop(signal.SIGTERM, None)
                self._reap()
                return status
            warn(f"worker {pid} ended with {status}: another takes its place")
            if lived < SHORT_LIFE:
                time.sleep(PAUSE)
            if not self._stopping:
                self._start()
        return 0

    def _start(self, speaks: bool = False) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)  # a child must not take one as if it were the parent
        pid = os.fork()
        if pid:
            self._started[pid] = time.monotonic()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
            return
        status = 1
        try:
            os.setsid()  # Ctrl-C is for the parent, which passes it on, once
            for number in STOPPING:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
            os.close(self._leash)
            self._serve(self._settings, Worker(self._sockets, self._held, self._folder, speaks))
            status = 0
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 1
        except click.ClickException as error:
            error.show()
            status = error.exit_code
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)  # what the parent has to do at its end is not the child's

    def _stop(self, number: int, _: FrameType | None) -> None:
        """Pass the signal on; a second one makes workers end at once, as it does a gateway alone."""
        self._stopping = True
        for pid in list(self._started):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def _reap(self) -> None:
        for pid in list(self._started):
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
