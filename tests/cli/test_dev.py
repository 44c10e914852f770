"""`legato dev` with the real processes: a terminal, an editor's saves, signals."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from fcntl import ioctl
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console
from watchfiles import Change

from legato.cli import dev_gateway, main
from legato.cli.dev import Watched
from legato.cli.dev_gateway import GatewayProcess
from legato.cli.dev_screen import KEPT, LiveScreen, PlainScreen, Run, Step, understood
from tests.support.gateway_process import free_port
from tests.support.stream import Ended
from tests.support.texts import request
from tests.support.wire import Answer, Wire

PATIENCE = 20.0  # seconds

CODE = """
import os
from legato.errors import Refused

def who(value):
    print("asked who")
    return {"pid": os.getpid(), "answer": "first"}

def picky(value):
    raise Refused("not today")
"""


class Dev:
    """`legato dev` on a project, and what it shows."""

    def __init__(self, folder: Path, to: str = "file") -> None:
        self.folder = folder
        self.address = ("127.0.0.1", free_port())
        (folder / "flows").mkdir(exist_ok=True)
        self.write("functions.py", CODE)
        self.settings()
        self.flow("who", "[who]")
        self.flow("two", "[who, picky]")
        self.shown = folder / ".shown"  # hidden, so that it is not watched
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("LEGATO_", "CACHE_"))}
        environment |= {"TERM": "xterm-256color", "COLUMNS": "", "LINES": "", "NO_COLOR": ""}
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            del environment[name]
        self.leader, follower = pty.openpty() if to == "terminal" else os.pipe() if to == "pipe" else (-1, -1)
        if to == "terminal":
            ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        with self.shown.open("wb") as shown:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "legato", "dev", "."],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=shown if follower < 0 else follower,
                stderr=shown if follower < 0 else follower,
                start_new_session=True,
            )
        if follower >= 0:
            os.close(follower)
            os.set_blocking(self.leader, False)
        self.terminal = b""

    def write(self, name: str, text: str) -> None:
        """As editors save: another file takes the place of the old one."""
        new = self.folder / f".{Path(name).name}.new"
        new.write_text(text)
        new.replace(self.folder / name)

    def settings(self, more: str = "") -> None:
        self.write(
            "legato.yaml",
            f"listen: 127.0.0.1:{self.address[1]}\nstore: files\n{more}functions:\n"
            '  who: {python: "functions:who"}\n  picky: {python: "functions:picky"}\n',
        )

    def flow(self, name: str, steps: str) -> None:
        self.write(f"flows/{name}.yaml", f"flow: {name}\nsteps: {steps}\n")

    def text(self) -> str:
        if self.leader < 0:
            return self.shown.read_text(errors="replace")
        while True:
            try:
                self.terminal += os.read(self.leader, 65536)
            except OSError:
                return self.terminal.decode(errors="replace")

    def until(self, is_so: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < until, f"it does not come to this; shown is\n{self.text()}"
            time.sleep(0.02)

    def until_shown(self, wanted: str, times: int = 1) -> None:
        self.until(lambda: len(re.findall(wanted, self.text())) >= times)

    def ask(self, flow: str = "who") -> Answer | None:
        """An answer, None while nobody listens."""
        try:
            with Wire(self.address) as wire:
                return wire.ask(request(f"/orchestrate/{flow}", b"{}", "POST"), "POST")
        except (OSError, Ended):
            return None

    def pid(self, answer: str = "first") -> int:
        """The process of the gateway, once its function answers so."""
        found: list[int] = []

        def is_so() -> bool:
            got = self.ask()
            if got is None or got.status != 200:
                return False
            value = json.loads(got.body)
            found.append(value["pid"])
            return bool(value["answer"] == answer)

        self.until(is_so)
        return found[-1]

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        assert "Traceback" not in self.text()
        if self.leader >= 0:
            with suppress(OSError):
                os.close(self.leader)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    started = Dev(tmp_path)
    yield started
    started.end()


@pytest.fixture
def dev_on_terminal(tmp_path: Path) -> Iterator[Dev]:
    started = Dev(tmp_path, to="terminal")
    yield started
    started.end()


@pytest.fixture
def dev_for_a_reader(tmp_path: Path) -> Iterator[Dev]:
    started = Dev(tmp_path, to="pipe")
    yield started
    started.end()


# Runs.


def test_runs_with_their_steps(dev: Dev) -> None:
    dev.pid()
    answer = dev.ask("two")
    assert answer is not None
    assert answer.status == 502
    assert answer.get(b"server-timing").startswith(b"total;dur=")
    dev.until_shown(r"(?m)^\d\d:\d\d:\d\d  200  POST  /orchestrate/who  \d+\.\dms  who \d+\.\d$")
    dev.until_shown(
        r"(?m)^\d\d:\d\d:\d\d  502  POST  /orchestrate/two  \d+\.\dms  who \d+\.\d . picky \d+\.\d  picky: not today$"
    )
    dev.until_shown("(?m)^asked who$", 2)
    assert '"event"' not in dev.text()
    dev.ask("nobody")
    dev.until_shown(r"404  POST  /orchestrate/nobody  \d+\.\dms  there is no flow 'nobody'\n")


# Changes.


def test_new_code_starts_the_gateway_anew(dev: Dev) -> None:
    before = dev.pid()
    for number in range(3):  # of one length, and faster than the clock of a file system
        dev.write("functions.py", CODE.replace("first", f"next{number}"))
        after = dev.pid(f"next{number}")
        assert after != before
        dev.until(lambda before=before: not is_alive(before))
        before = after
    dev.until_shown(r"functions\.py changed: the gateway starts again", 3)


def test_a_flow_is_served_without_that(dev: Dev) -> None:
    before = dev.pid()
    dev.flow("who", "[{call: who, id: renamed}]")
    dev.until(lambda: (dev.ask() or True) and "  renamed " in dev.text())
    assert dev.pid() == before
    assert "starts again" not in dev.text()
    dev.until_shown("flow who: ok")
    dev.flow("who", "[{cal: who}]")
    dev.until_shown("did you mean `call`")
    assert "flow who: broken; the version before is served\n" in dev.text()
    dev.flow("new", "[{cal: who}]")
    dev.until_shown("(?m)^flow new: broken$")


def test_settings_that_cannot_be_used_and_then_can(dev: Dev) -> None:
    dev.pid()
    dev.settings("timeout: 5\n")
    dev.until_shown("`timeout` needs a unit")
    dev.until_shown("the gateway ended with status 2: mend what it says above")
    assert dev.ask() is None
    dev.settings("timeout: 5s\n")
    dev.pid()
    dev.until_shown(r"legato\.yaml changed: the gateway starts again", 2)


def test_code_that_cannot_be_imported_and_then_can(dev: Dev) -> None:
    dev.pid()
    dev.write("functions.py", "def who(value:\n")
    dev.until_shown("SyntaxError|was never closed")
    dev.write("functions.py", CODE.replace("first", "again"))
    dev.pid("again")


def test_a_gateway_that_was_killed(dev: Dev) -> None:
    os.kill(dev.pid(), signal.SIGKILL)
    dev.until_shown("the gateway ended with status 137")
    dev.flow("who", "[who]")  # what a gateway that runs would not be started anew for
    dev.pid()


# Ends.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_both(dev: Dev, number: int) -> None:
    pid = dev.pid()
    os.kill(dev.process.pid, number)
    assert dev.process.wait(PATIENCE) == 0
    assert not is_alive(pid)


def test_a_second_signal_does_not_wait(dev: Dev) -> None:
    """The first one lets the gateway end what it has begun."""
    slow = "\ndef slow(value):\n    import time\n    print('begun', os.getpid())\n    time.sleep(60)\n"
    dev.write("functions.py", CODE + slow)
    dev.write("legato.yaml", (dev.folder / "legato.yaml").read_text() + '  slow: {python: "functions:slow"}\n')
    dev.flow("slow", "[slow]")
    dev.until_shown(r"serves 3 flows|flow slow: ok")
    pid = dev.pid()
    with Wire(dev.address) as wire:
        wire.send(request("/orchestrate/slow", b"{}", "POST"))
        dev.until_shown("begun")
        began = time.monotonic()
        dev.process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert dev.process.poll() is None
        dev.process.send_signal(signal.SIGINT)
        assert dev.process.wait(PATIENCE) == 0
    assert time.monotonic() - began < dev_gateway.DRAIN
    assert not is_alive(pid)


def test_killed_it_leaves_nothing_behind(dev: Dev) -> None:
    pid = dev.pid()
    dev.process.kill()
    dev.until(lambda: not is_alive(pid))


def test_a_signal_while_the_gateway_is_down(dev: Dev) -> None:
    dev.settings("timeout: 5\n")
    dev.until_shown("the gateway ended with status 2")
    dev.process.terminate()
    assert dev.process.wait(PATIENCE) == 0


def test_an_address_that_cannot_be() -> None:
    done = CliRunner().invoke(main, ["dev", "--listen", "localhost"])
    assert done.exit_code == 2
    assert "has no port" in done.output


def test_nobody_reads_on(dev_for_a_reader: Dev) -> None:
    """`legato dev | head -1`"""
    dev = dev_for_a_reader
    dev.pid()
    os.close(dev.leader)
    dev.ask()
    assert dev.process.wait(PATIENCE) == 0
    assert dev.ask() is None


# A terminal.


def test_a_terminal(dev_on_terminal: Dev) -> None:
    dev = dev_on_terminal
    dev.pid()
    dev.ask("two")
    dev.until_shown("not today")
    dev.until_shown("asked who")
    dev.until_shown("Ctrl-C ends it")
    ioctl(dev.leader, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 30, 0, 0))
    dev.ask("two")
    dev.until_shown("3 runs|[4-9] runs")
    os.kill(dev.process.pid, signal.SIGINT)
    assert dev.process.wait(PATIENCE) == 0
    text = dev.text()
    assert "Traceback" not in text
    assert text.rstrip().endswith("\x1b[?25h"), "the cursor is shown again"


def live_screen(height: int = 24, width: int = 100) -> tuple[LiveScreen, io.StringIO]:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, height=height, width=width, highlight=False, color_system=None)
    return LiveScreen(console), out


def a_run(number: int, detail: str = "") -> Run:
    steps = [Step("validate-order", 1.23), Step("charge-payment", 340.2, "refused" if detail else "ok", 3)]
    step = "charge-payment" if detail else ""
    return Run(
        "2030-01-02T03:04:05.678+00:00", "POST", f"/n/{number}", 502 if detail else 200, 4.25, step, detail, steps
    )


def test_the_last_runs_are_kept_and_those_shown_that_fit() -> None:
    async def scene() -> tuple[LiveScreen, str]:
        screen, out = live_screen()
        for number in range(500):
            screen.run(a_run(number))
        screen.close()
        return screen, out.getvalue()

    screen, shown = asyncio.run(scene())
    assert len(screen.runs) == KEPT == 200
    assert [run.path for run in screen.runs] == [f"/n/{number}" for number in range(300, 500)]
    assert re.findall(r"/n/\d+", shown)[-16:] == [f"/n/{number}" for number in range(484, 500)]
    assert "500 runs" in shown
    assert "validate-order 1.2 \u203a charge-payment \u00d73 340.2" in shown


@pytest.mark.parametrize("width", [1, 10, 40, 100, 300])
@pytest.mark.parametrize("height", [1, 5, 24])
def test_any_window(width: int, height: int) -> None:
    async def scene() -> str:
        screen, out = live_screen(height, width)
        screen.message("functions.py changed")
        for number in range(30):
            screen.run(a_run(number, "no\x1b[2J\nway " * 40 if number % 2 else ""))
        screen.printed("\x1b[31mred\x1b[0m", True)
        screen.close()
        return out.getvalue()

    shown = asyncio.run(scene())
    assert "\x1b[2J" not in shown
    assert "functions.py" in shown or width < 12


# Lines.


def test_why_a_request_was_refused(capsys: pytest.CaptureFixture[str]) -> None:
    refused = line(event="request", method="POST", path="/x", status=404, ms=0.1, detail="there is no\x1b[2J flow 'x'")
    run = understood(refused)[1]
    assert isinstance(run, Run)
    PlainScreen().run(run)
    assert capsys.readouterr().out.endswith("  404  POST  /x  0.1ms  there is no [2J flow 'x'\n")


def line(**fields: object) -> bytes:
    return json.dumps({"time": "2030-01-02T03:04:05.678+00:00", **fields}, separators=(",", ":")).encode()


def test_what_a_line_says() -> None:
    good = line(event="request", method="POST", path="/x", status=200, ms=1.5, steps=[{"path": "a", "ms": 1, "new": 0}])
    run = Run("2030-01-02T03:04:05.678+00:00", "POST", "/x", 200, 1.5, steps=[Step("a", 1.0)])
    assert understood(good) == ("", run)
    assert understood(b"no end of line" + good) == ("no end of line", run)
    assert understood(line(event="store", state="up"))[1] == {
        "time": "2030-01-02T03:04:05.678+00:00",
        "event": "store",
        "state": "up",
    }
    for printed in (
        b"hello",
        b"",
        b'{"time":"',
        b"\xff",
        line(event="request"),
        line(state="up"),
        b'{"time":"x"}',
        b"{}",
    ):
        assert understood(printed) == (printed.decode("utf-8", "replace"), None)


def run_gateway(
    script: str, waits: bool = False, closing: str = "stop"
) -> tuple[GatewayProcess, list[tuple[bytes, bool]]]:
    """A stand-in for the gateway, and what is heard of it."""
    heard: list[tuple[bytes, bool]] = []

    async def scene() -> GatewayProcess:
        ready = asyncio.Event()

        def take(text: bytes, is_error: bool) -> None:
            heard.append((text, is_error))
            if b"ready" in text:
                ready.set()

        gateway = GatewayProcess(take)
        await gateway.start([sys.executable, "-c", script])
        if waits:
            await ready.wait()
        if closing == "wait":
            await gateway.wait()
            await gateway.last_words()
        await gateway.stop()
        return gateway

    return asyncio.run(scene()), heard


def test_lines_of_any_length() -> None:
    gateway, heard = run_gateway(
        "import sys; print('a' * 3_000_000); print('b', end=''); sys.stderr.write('c\\r\\nd'); sys.exit(3)",
        closing="wait",
    )
    assert gateway.status == 3
    assert b"".join(text for text, is_error in heard if not is_error) == b"a" * 3_000_000 + b"b"
    assert max(len(text) for text, _ in heard) < 2 * dev_gateway.MAX_LINE
    assert [text for text, is_error in heard if is_error] == [b"c", b"d"]


def test_one_that_does_not_want_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev_gateway, "DRAIN", 0.2)
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    started = time.monotonic()
    gateway, _ = run_gateway(script, waits=True)
    assert gateway.status == 137
    assert time.monotonic() - started < 10


def test_one_whose_child_goes_on_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipe stays open then, and nobody must wait for its end."""
    monkeypatch.setattr(dev_gateway, "REMAINS", 0.2)
    script = "import subprocess; print(subprocess.Popen(['sleep', '60']).pid, 'ready', flush=True)"
    gateway, heard = run_gateway(script, waits=True, closing="wait")
    os.kill(int(heard[0][0].split()[0]), signal.SIGKILL)
    assert gateway.status == 0


# Files.


@pytest.mark.parametrize(
    ("name", "is_watched", "restarts"),
    [
        ("functions.py", True, True),
        ("shop/deep/scoring.py", True, True),
        ("legato.yaml", True, True),
        ("flows/hello.yaml", True, False),
        ("flows/old.json", True, False),
        ("legato.db", False, False),
        ("notes.txt", False, False),
        (".venv/lib/x.py", False, True),
        (".git/x.py", False, True),
        (".#functions.py", False, True),
        ("shop/__pycache__/x.py", False, True),
        ("env/lib/x.py", False, True),
        ("env2/lib/x.py", True, True),
    ],
)
def test_which_files_matter(tmp_path: Path, name: str, is_watched: bool, restarts: bool) -> None:
    folder = tmp_path / ".hidden" / "project"  # what is hidden above the project hides nothing in it
    (folder / "env" / "lib").mkdir(parents=True)
    (folder / "env" / "pyvenv.cfg").write_text("")
    watched = Watched(folder)
    path = str(folder / name)
    assert watched(Change.modified, path) == is_watched
    assert not is_watched or watched.restarts(path) == restarts
    assert watched.name(path) == name


def test_settings_by_another_name(tmp_path: Path) -> None:
    (tmp_path / "test.conf").write_text("")
    watched = Watched(tmp_path / "test.conf")
    assert watched(Change.modified, str(tmp_path / "test.conf"))
    assert watched.restarts(str(tmp_path / "test.conf"))
    assert not watched.restarts(str(tmp_path / "legato.yaml"))
