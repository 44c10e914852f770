"""What stores and functions say commands no terminal; what is piped is as it was written."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from legato.cli.terminal import clean, clean_lines
from tests.cli.commands import legato, on_terminal, project, server

EVIL = "a\x1b]0;owned\x07b\x9b2Jc\u202ed\x7f"
STEP = {"path": EVIL, "function": EVIL, "outcome": EVIL, "attempts": 1, "ms": 1.0, "detail": EVIL}
RUN = {
    "id": EVIL, "flow": EVIL, "version": EVIL, "state": EVIL, "started": "2030-01-02T03:04:05.678+00:00",
    "ended": None, "ms": 1.0, "error": {"detail": EVIL}, "steps": [STEP],
}  # fmt: skip
FLOW = {
    "name": EVIL, "state": "ok", "version": EVIL, "origin": EVIL, "outline": EVIL, "note": EVIL, "shadows": [EVIL],
    "problems": [{"file": EVIL, "line": 1, "detail": EVIL, "remedy": EVIL}], "source": EVIL,
}  # fmt: skip
EVERYTHING = {**RUN, **FLOW, "flows": [FLOW], "runs": [RUN], "events": [{"time": EVIL, "event": EVIL, EVIL: EVIL}],
              "functions": {EVIL: {"attempts": 1, "errors": 1, "last_outcome": EVIL, "last_status": 0,
                                   "last_active": EVIL}}}  # fmt: skip
REFUSAL = {"detail": EVIL, "step": EVIL, "function": "f", "upstream": {"status": 402, "body": EVIL}, "undone": [EVIL],
           "not_undone": [EVIL], "run": EVIL, "errors": [{"file": EVIL, "detail": EVIL, "source": EVIL, "remedy": EVIL},
                                                         {"step": EVIL, "detail": EVIL}]}  # fmt: skip
COMMANDS = (
    ["ls"], ["show", "x"], ["rm", "x"], ["add", "x", "--steps", "a"], ["run", "x"], ["runs", "ls"],
    ["runs", "ls", "--events"], ["runs", "ls", "--functions"], ["runs", "show", "x"], ["gateway", "orchestrate", "ls"],
)  # fmt: skip


def harmless(text: str) -> bool:
    return clean_lines(text) == text


def test_clean() -> None:
    assert clean("a\x1b[2J\n\tb\u00e9\udcff") == "a [2J  b\u00e9 "
    assert clean_lines("a\r\n\tb\x00") == "a \n\tb "


def test_every_answer_and_every_refusal(tmp_path: Path) -> None:
    for status, document in ((200, EVERYTHING), (500, REFUSAL)):

        def answers(connection: socket.socket, _: bytes, status: int = status, document: object = document) -> None:
            body = json.dumps(document, ensure_ascii=False).encode()
            connection.sendall(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body))

        with server(answers) as listen:
            folder = project(tmp_path / str(status), listen=listen)
            for command in COMMANDS:
                shown = on_terminal(*command, "--project", str(folder), code=int(status >= 400))
                assert harmless(shown), command
                assert "owned" in shown or command in (["rm", "x"],), command


def test_what_is_piped_is_as_it_was_written(tmp_path: Path) -> None:
    folder = project(tmp_path)
    source = "# \x1b[31m red \u202e\n" + "flow: x\nsteps: [echo]\n"

    def answers(connection: socket.socket, _: bytes) -> None:
        body = json.dumps({**FLOW, "source": source}).encode()
        connection.sendall(b"HTTP/1.1 200 X\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))

    with server(answers) as listen:
        folder = project(tmp_path, listen=listen)
        shown = legato(folder, "show", "x")
        assert shown.stdout == source
        assert harmless(shown.stderr)
        assert "\x1b" not in on_terminal("show", "x", "--project", str(folder))
