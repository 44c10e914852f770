"""`legato add`, `ls`, `show`, `rm` and `run`, by a gateway and without one."""

from __future__ import annotations

import json
import socket
import struct
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.admin.conftest import Start, starting
from tests.admin.serving import ADMIN, CALLER, Serving, native, pipeline, until
from tests.cli.commands import FUNCTIONS, as_json, legato, project, server
from tests.support.gateway_process import free_port


@pytest.fixture(scope="module")
def start_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    yield from starting(tmp_path_factory.mktemp("shared"))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from starting(tmp_path)


@pytest.fixture(scope="module")
def gateway(start_shared: Start) -> Serving:
    return start_shared(flows={"filed": ["echo"]}, functions=FUNCTIONS)


@pytest.fixture(params=["gateway", "here"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A project with a gateway, and one without."""
    if request.param == "here":
        return project(tmp_path, {"filed": ["echo"]})
    gateway: Serving = request.getfixturevalue("gateway")
    for name in gateway.names():
        if name != "filed":
            gateway.delete(name)
    gateway.check_errors()
    return gateway.folder


def remark(folder: Path) -> str:
    """What is said of a change that no gateway made."""
    if (folder / "output").exists():
        return ""
    listen = json.loads((folder / "legato.yaml").read_text())["listen"]
    return f"no gateway answers at {listen}: written to sqlite:{folder / 'legato.db'} itself\n"


def compact(*steps: str) -> str:
    """What fnkit's command writes."""
    return pipeline(*steps).replace(" ", "")


# Defining.


def test_add_ls_show_rm(folder: Path) -> None:
    added = legato(folder, "add", "order", "--steps", " echo , ,slow")
    assert added.stdout == "order is defined: echo, slow\n"
    assert added.stderr == remark(folder)
    listed = legato(folder, "ls").stdout.splitlines()
    assert listed[0].split() == ["NAME", "STATE", "VERSION", "ORIGIN", "STEPS"]
    assert [line.split()[:2] for line in listed[1:]] == [["filed", "ok"], ["order", "ok"]]
    assert listed[2].endswith("echo, slow")
    assert legato(folder, "show", "order").stdout == compact("echo", "slow") + "\n"
    assert json.loads(legato(folder, "run", "order", "-d", '{"seconds": 0}').stdout) == {"seconds": 0}
    removed = legato(folder, "rm", "order")
    assert removed.stdout == "order is deleted\n"
    assert removed.stderr == remark(folder)
    assert "order" not in legato(folder, "ls").stdout
    assert "there is no flow 'order'" in legato(folder, "show", "order", code=1).stderr
    assert "there is no flow 'order'" in legato(folder, "rm", "order", code=1).stderr


def test_modes(folder: Path) -> None:
    legato(folder, "add", "par", "--steps", "echo,slow", "--mode", "PARALLEL")
    assert as_json(folder, "show", "par")["outline"] == "[echo | slow]"
    legato(folder, "add", "par", "--steps", "echo,slow", "--mode", "sequential")
    assert as_json(folder, "show", "par")["outline"] == "echo, slow"


def test_a_file_or_standard_input(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "any name.txt"
    file.write_text("flow: mine\nsteps: [echo]")
    assert legato(folder, "add", "mine", "-f", str(file)).stdout == "mine is defined: echo\n"
    assert legato(folder, "show", "mine").stdout == "flow: mine\nsteps: [echo]\n"
    legato(folder, "add", "mine", "-f", "-", given=b"flow: mine\nsteps: [slow]\n")
    assert legato(folder, "show", "mine").stdout == "flow: mine\nsteps: [slow]\n"
    legato(folder, "add", "mine", "--file", "-", given=pipeline("echo").encode())
    assert as_json(folder, "show", "mine")["language"] == "fnkit"


def test_new(folder: Path) -> None:
    legato(folder, "add", "x", "--steps", "echo", "--new")
    refused = legato(folder, "add", "x", "--steps", "slow", "--new", code=1)
    assert refused.stderr == "there is a flow `x` already; leave out --new to define it anew\n"
    assert as_json(folder, "show", "x")["outline"] == "echo"


@pytest.mark.parametrize(
    "arguments",
    [
        ["x"],
        ["x", "--steps", "a", "-f", "y"],
        ["x", "-f", "y", "--mode", "parallel"],
        ["x", "--mode", "parallel"],
        ["x", "--steps", "a", "--mode", "both"],
        ["x", "-f", "no-such-file"],
        ["x", "-f", "."],
        [],
        ["x", "y", "--steps", "a"],
    ],
)
def test_wrong_usage(folder: Path, arguments: list[str]) -> None:
    refused = legato(folder, "add", *arguments, code=2)
    assert "Error" in refused.stderr
    assert "Usage" in refused.stderr


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (b"flow: x\nsteps: [1]\n", 2, "must be"),
        (b"", 0, "is empty"),
        (b"flow: y\nsteps: [echo]\n", 1, "the flow is called `y`, to be defined as `x`"),
        (b"flow: x\nsteps: [missing]\n", 0, "no_such_module"),
        (b"flow: x\nsteps: [a\xff]\n", 2, "not UTF-8"),
    ],
)
def test_problems_are_shown_with_place_and_remedy(folder: Path, text: bytes, line: int, message: str) -> None:
    refused = legato(folder, "add", "x", "-f", "-", given=text, code=1)
    assert refused.stdout == ""
    assert refused.stderr.startswith("the definition of x has problems; nothing was stored\n")
    assert message in refused.stderr
    assert "remedy: " in refused.stderr
    if line:
        assert f":{line}:" in refused.stderr
    assert "there is no flow" in legato(folder, "show", "x", code=1).stderr


@pytest.mark.parametrize("name", ["api", "a/b", "12", "a b", "", "..", "%2e", "x" * 300, "\u00e4", "a?b#c", "\udcff"])
def test_names_that_cannot_be(folder: Path, name: str) -> None:
    refused = legato(folder, "add", name, "--steps", "echo", code=1)
    assert refused.stderr
    assert legato(folder, "show", name, code=1).stderr
    assert legato(folder, "rm", name, code=1).stderr
    assert [flow["name"] for flow in as_json(folder, "ls")] == ["filed"]


def test_a_file_in_flows_wins(folder: Path) -> None:
    for arguments in (["add", "filed", "--steps", "slow"], ["rm", "filed"]):
        refused = legato(folder, *arguments, code=1)
        assert "filed.yaml" in refused.stderr
        assert "take that file away first" in refused.stderr
    assert as_json(folder, "show", "filed")["outline"] == "echo"


def test_a_definition_that_is_too_large(folder: Path) -> None:
    text = native("x", "echo").encode()
    legato(folder, "add", "x", "-f", "-", given=text + b" " * (1024 * 1024 - len(text)))
    refused = legato(folder, "add", "x", "-f", "-", given=text + b" " * (1024 * 1024), code=1)
    assert refused.stderr == "a definition has at most 1024 KiB\n"


# Looking.


def test_ls_as_json_and_by_state(folder: Path) -> None:
    legato(folder, "add", "x", "--steps", "echo")
    flows = as_json(folder, "ls")
    assert [flow["name"] for flow in flows] == ["filed", "x"]
    assert all(flow["version"] and flow["origin"] and flow["state"] == "ok" for flow in flows)
    assert as_json(folder, "ls", "--state", "broken") == []
    assert [flow["name"] for flow in as_json(folder, "ls", "--state", "ok")] == ["filed", "x"]
    nothing = legato(folder, "ls", "--state", "broken")
    assert nothing.stdout == ""
    assert nothing.stderr == "no broken flows\n"
    legato(folder, "ls", "--state", "odd", code=2)


def test_an_earlier_version(folder: Path) -> None:
    for step in ("echo", "slow", "echo,slow"):
        legato(folder, "add", "past", "--steps", step)
    revisions = as_json(folder, "show", "past")["revisions"]
    assert len(revisions) >= 3
    assert legato(folder, "show", "past", "--version", revisions[1]["version"]).stdout == compact("slow") + "\n"
    assert as_json(folder, "show", "past", "--version", revisions[2]["version"])["source"] == compact("echo")
    for version in ("none", "a&b=c", "\u00e4", "a b"):
        assert "no version" in legato(folder, "show", "past", "--version", version, code=1).stderr


def test_rm_of_several(folder: Path) -> None:
    for name in ("a", "b", "c"):
        legato(folder, "add", name, "--steps", "echo")
    refused = legato(folder, "rm", "a", "nobody", "filed", "b", code=1)
    assert refused.stdout == "a is deleted\nb is deleted\n"
    nobody, filed = refused.stderr.removeprefix(remark(folder)).splitlines()
    assert nobody == "there is no flow 'nobody' in the store; `legato ls` lists those there are"
    assert "take that file away first" in filed
    assert [flow["name"] for flow in as_json(folder, "ls")] == ["c", "filed"]
    assert legato(folder, "rm", "c").stdout == "c is deleted\n"
    assert legato(folder, "rm", "c", code=1).stderr.count("\n") == 1, "nothing was written"
    legato(folder, "rm", code=2)


def test_functions_without_an_entry(folder: Path) -> None:
    added = legato(folder, "add", "x", "--steps", "ecko,echo,mail")
    assert added.stderr.removeprefix(remark(folder)).splitlines() == [
        "ecko has no entry in `functions` and is called at http://ecko:8080; did you mean `echo`?",
        "mail has no entry in `functions` and is called at http://mail:8080",
    ]


# Without a gateway.


def test_broken_and_hidden_ones_are_remarked_upon(tmp_path: Path) -> None:
    folder = project(tmp_path)
    legato(folder, "add", "x", "--steps", "echo")
    (folder / "flows" / "x.yaml").write_text("flow: x\nsteps: [slow]\n")
    (folder / "flows" / "bad.yaml").write_text("flow: bad\nsteps: [1]\n")
    listed = legato(folder, "ls")
    assert [line.split()[:2] for line in listed.stdout.splitlines()[1:]] == [["bad", "broken"], ["x", "ok,"]]
    assert "x.yaml hides sqlite:" in listed.stderr
    assert "bad.yaml:2:9" in listed.stderr
    assert legato(folder, "show", "bad").stdout == "flow: bad\nsteps: [1]\n"


def test_what_is_wrong_with_many_is_said_once(tmp_path: Path) -> None:
    folder = project(tmp_path, {name: ["missing"] for name in ("a", "b", "c")})
    said = legato(folder, "ls").stderr
    assert said.startswith("a, b, c: ")
    assert said.count("no_such_module:f") == 1


def test_ls_of_nothing(tmp_path: Path) -> None:
    nothing = legato(project(tmp_path), "ls")
    assert nothing.stdout == ""
    assert "legato add NAME --steps a,b" in nothing.stderr
    assert as_json(tmp_path, "ls") == []
    assert not (tmp_path / "legato.db").exists(), "looking makes nothing"


def test_several_at_once_without_a_gateway_take_no_time(tmp_path: Path) -> None:
    folder = project(tmp_path)
    names = [f"x{number}" for number in range(3)]
    for name in names:
        legato(folder, "add", name, "--steps", "echo")
    began = time.monotonic()
    legato(folder, "rm", *names)
    assert time.monotonic() - began < 4.0
    assert as_json(folder, "ls") == []


def test_what_was_added_without_a_gateway_is_served_by_the_next(start: Start, tmp_path: Path) -> None:
    folder = project(tmp_path / "gateway-0")
    legato(folder, "add", "early", "--steps", "echo")
    settings = json.loads((folder / "legato.yaml").read_text())
    gateway = start("gateway-0", listen=settings["listen"], functions=FUNCTIONS)
    assert gateway.names() == ["early"]
    elsewhere = project(tmp_path / "elsewhere", store=f"sqlite:{gateway.folder / 'legato.db'}")
    legato(elsewhere, "add", "late", "--steps", "echo")
    until(lambda: gateway.names() == ["early", "late"])


def test_run_of_what_is_in_the_store(tmp_path: Path) -> None:
    folder = project(tmp_path)
    legato(folder, "add", "x", "--steps", "echo")
    assert legato(folder, "run", "x", "-d", '{"a": 1}').stdout == '{"a": 1}\n'
    refused = legato(folder, "run", "y", code=1)
    assert "there is no flow 'y'; there are: x" in refused.stderr


@pytest.mark.parametrize(
    "arguments", [["ls"], ["show", "x"], ["add", "x", "--steps", "echo"], ["rm", "x"], ["run", "x"]]
)
def test_a_store_that_cannot_be_reached(tmp_path: Path, arguments: list[str]) -> None:
    folder = project(tmp_path, {"filed": ["echo"]})
    url = f"redis://me:hunter2@127.0.0.1:{free_port()}/1"
    refused = legato(folder, *arguments, code=3, CACHE_URL=url)
    assert "start the server, or mend the URL" in refused.stderr
    assert "hunter2" not in refused.output
    assert refused.stdout == ""


def test_run_of_a_file_while_the_store_cannot_be_reached(tmp_path: Path) -> None:
    folder = project(tmp_path, {"filed": ["echo"]})
    url = f"redis://127.0.0.1:{free_port()}"
    assert legato(folder, "run", "filed", "-d", "1", CACHE_URL=url).stdout == "1\n"


def test_a_store_that_is_none(tmp_path: Path) -> None:
    folder = project(tmp_path)
    (folder / "legato.db").write_bytes(b"not a database" * 1000)
    for arguments in (["ls"], ["add", "x", "--steps", "echo"], ["run", "x"]):
        assert "name another file" in legato(folder, *arguments, code=3).stderr


def test_settings_that_cannot_be_used(tmp_path: Path) -> None:
    folder = project(tmp_path)
    (folder / "legato.yaml").write_text("stor: x\n")
    for arguments in (["ls"], ["show", "x"], ["add", "x", "--steps", "a"], ["rm", "x"]):
        assert "unknown key" in legato(folder, *arguments, code=2).stderr


# Another gateway than one would wish for.


def test_a_gateway_that_is_lost(tmp_path: Path) -> None:
    def reset(connection: socket.socket, _: bytes) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def half(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")

    def garbage(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"what?\r\n\r\n")

    for number, answer in enumerate((reset, half, garbage)):
        with server(answer) as listen:
            folder = project(tmp_path / str(number), listen=listen)
            for arguments in (["ls"], ["add", "x", "--steps", "echo"], ["rm", "x"], ["show", "x"], ["run", "x"]):
                lost = legato(folder, *arguments, code=3)
                assert f"the gateway at {listen} was lost" in lost.stderr
                assert lost.stdout == ""
        assert not (folder / "legato.db").exists(), "nothing is done twice"


def test_something_else_that_listens_is_no_gateway(tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    try:
        folder = project(tmp_path, listen=f"127.0.0.1:{listener.getsockname()[1]}")
        listener.close()
        legato(folder, "add", "x", "--steps", "echo")
        assert as_json(folder, "ls")[0]["name"] == "x"
    finally:
        listener.close()


def test_an_answer_that_is_no_document(tmp_path: Path) -> None:
    def proxy(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 502 Bad\r\ncontent-length: 4\r\n\r\noops")

    with server(proxy) as listen:
        folder = project(tmp_path, listen=listen)
        for arguments in (["ls"], ["add", "x", "--steps", "echo"], ["rm", "x"]):
            assert "oops" in legato(folder, *arguments, code=1).stderr


# Tokens.


def test_tokens(start: Start, tmp_path: Path) -> None:
    variables = {"LEGATO_TOKEN": CALLER, "LEGATO_ADMIN_TOKEN": ADMIN}
    gateway = start("guarded", flows={"filed": ["echo"]}, functions=FUNCTIONS, variables=variables)
    folder = gateway.folder
    refused = legato(folder, "add", "x", "--steps", "echo", code=1, LEGATO_TOKEN=CALLER)
    assert "LEGATO_ADMIN_TOKEN" in refused.stderr
    assert CALLER not in refused.stderr
    assert as_json(folder, "ls", LEGATO_TOKEN=CALLER)[0]["name"] == "filed"
    assert legato(folder, "run", "filed", "-d", "1", LEGATO_TOKEN=CALLER).stdout == "1\n"
    legato(folder, "add", "x", "--steps", "echo", LEGATO_TOKEN=CALLER, LEGATO_ADMIN_TOKEN=ADMIN)
    legato(folder, "rm", "x", LEGATO_ADMIN_TOKEN=ADMIN)
    for arguments in (["ls"], ["add", "x", "--steps", "echo"], ["rm", "x"], ["show", "filed"]):
        assert "Authorization: Bearer" in legato(folder, *arguments, code=1).stderr
        refused = legato(folder, *arguments, code=1, LEGATO_ADMIN_TOKEN="wrong")
        assert "Authorization: Bearer" in refused.stderr
        assert refused.stderr.endswith("set LEGATO_TOKEN (or LEGATO_ADMIN_TOKEN to define flows)\n")


def test_a_gateway_on_a_unix_socket(start: Start, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as short:  # the path of a socket has 107 bytes at most
        listen = f"unix:{short}/gateway.sock"
        gateway = start("unix", flows={"filed": ["echo"]}, functions=FUNCTIONS, listen=listen)
        legato(gateway.folder, "add", "x", "--steps", "echo")
        assert [flow["name"] for flow in as_json(gateway.folder, "ls")] == ["filed", "x"]
        assert legato(gateway.folder, "run", "x", "-d", "1").stdout == "1\n"
        legato(gateway.folder, "rm", "x")
        gateway.stop()
