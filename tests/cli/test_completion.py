"""Completion as the shells themselves do it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from legato.cli import main
from legato.cli.completion import SHELLS
from tests.support.programs import needed

BIN = Path(sys.executable).parent
ENVIRONMENT = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "TERM": "dumb"}
PATIENCE = 20.0  # seconds

needs_script = pytest.mark.skipif(not (BIN / "legato").exists(), reason="the command legato is not installed")


def in_shell(shell: str, *arguments: str) -> str:
    done = subprocess.run(
        [needed(shell), *arguments], env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_script
@pytest.mark.parametrize(("typed", "completed"), [("se", "serve"), ("che", "check"), ("schema set", "settings")])
def test_bash(typed: str, completed: str) -> None:
    words = typed.split()
    script = f"""
        eval "$(legato completion bash)"
        COMP_WORDS=(legato {typed})
        COMP_CWORD={len(words)}
        _legato_completion legato {words[-1]} legato
        echo "${{COMPREPLY[@]}}"
    """
    assert in_shell("bash", "--norc", "--noprofile", "-c", script).split() == [completed]


@needs_script
def test_the_tab_key_in_bash() -> None:
    """A terminal, a shell at its prompt, a key pressed."""
    leader, follower = pty.openpty()
    shell = subprocess.Popen(
        [needed("bash"), "--norc", "--noprofile", "-i"],
        env={**ENVIRONMENT, "PS1": "ready> ", "INPUTRC": "/dev/null"},
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    try:
        read_until(leader, b"ready> ")
        os.write(leader, b"eval \"$(legato completion bash)\"; echo do''ne\n")
        read_until(leader, b"done\r\nready> ")
        os.write(leader, b"legato se\t")
        read_until(leader, b"legato serve ")
    finally:
        shell.kill()
        shell.wait()
        os.close(leader)


def read_until(terminal: int, wanted: bytes) -> None:
    found = b""
    until = time.monotonic() + PATIENCE
    os.set_blocking(terminal, False)
    while wanted not in found:
        assert time.monotonic() < until, f"never came: {wanted!r} in {found!r}"
        try:
            found += os.read(terminal, 4096)
        except BlockingIOError:
            time.sleep(0.01)


@needs_script
def test_zsh() -> None:
    script = """
        autoload -Uz compinit && compinit -u -D
        eval "$(legato completion zsh)"
        whence -w _legato_completion
        _LEGATO_COMPLETE=zsh_complete COMP_WORDS="legato se" COMP_CWORD=1 legato
    """
    found = in_shell("zsh", "-f", "-c", script).split()
    assert "function" in found
    assert "serve" in found


@needs_script
def test_fish() -> None:
    found = in_shell("fish", "--no-config", "-c", "legato completion fish | source; complete -C 'legato se'")
    assert found.split()[0] == "serve"


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_has_a_script(shell: str) -> None:
    done = CliRunner().invoke(main, ["completion", shell])
    assert done.exit_code == 0
    assert f"_LEGATO_COMPLETE={shell}_complete" in done.output


def test_another_shell() -> None:
    done = CliRunner().invoke(main, ["completion", "tcsh"])
    assert done.exit_code == 2
    assert "'bash', 'zsh', 'fish'" in done.output
