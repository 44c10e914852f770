"""What the environment does to settings, and that no secret gets into a message."""

from __future__ import annotations

import pytest

from legato.formats import read_settings
from legato.formats.settings import _LIMITS  # pyright: ignore[reportPrivateUsage]
from legato.model.settings import CALLER_SCOPES, Limits, Settings


def read(text: str, environment: dict[str, str] | None = None) -> Settings:
    settings, problems = read_settings(text.encode(), "legato.yaml", ".", environment or {})
    assert problems == []
    assert settings is not None
    return settings


def problems_of(text: str, environment: dict[str, str] | None = None) -> list[str]:
    settings, problems = read_settings(text.encode(), "legato.yaml", ".", environment or {})
    assert settings is None
    assert problems
    return [str(problem) for problem in problems]


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "{}"])
def test_nothing_means_defaults(text: str) -> None:
    assert read(text) == Settings()


def test_the_folder_is_kept() -> None:
    settings, _ = read_settings(b"", "x", "shop", {})
    assert settings is not None
    assert settings.folder == "shop"


def test_the_variable_adds_a_token() -> None:
    assert read("", {"LEGATO_TOKEN": "t"}).tokens == {"t": CALLER_SCOPES}
    assert read("auth: {tokens: [a]}", {"LEGATO_TOKEN": "t"}).tokens == {"a": CALLER_SCOPES, "t": CALLER_SCOPES}
    assert read('auth: {tokens: ["${env.LEGATO_TOKEN}"]}', {"LEGATO_TOKEN": "t"}).tokens == {"t": CALLER_SCOPES}


@pytest.mark.parametrize("token", ["", " ", "a b", "a\n", "\u00e9"])
def test_a_token_that_lets_anybody_in_or_nobody_is_refused(token: str) -> None:
    [problem] = problems_of("", {"LEGATO_TOKEN": token})
    assert problem.startswith("legato.yaml: the variable LEGATO_TOKEN ")
    assert problems_of('auth: {tokens: ["${env.T}"]}', {"T": token})


@pytest.mark.parametrize("text", ["auth: {tokens: }", "auth: ", "auth: [a]", "auth: {tokens: a}"])
def test_tokens_are_a_list(text: str) -> None:
    assert problems_of(text)


def test_a_token_of_digits_stays_text() -> None:
    assert read("auth: {tokens: ['${env.T}']}", {"T": "12345"}).tokens == {"12345": CALLER_SCOPES}


SECRET = "hunter2"


@pytest.mark.parametrize(
    "text",
    [
        f"auth: {{tokens: [{SECRET}, '']}}",
        f"auth:\n  tokens:\n    - {{x: {SECRET}}}\n",
        f"auth: {{token: {SECRET}}}",
        f"auth: {{tokens: [a]}}\nauth: {{tokens: [{SECRET}]}}",
        f'auth:\n  tokens:\n    - a\n    - "{SECRET}\n',
        f'auth:\n  tokens:\n    - "{SECRET} b"\n',
        f"functions: {{a: 'http://me:{SECRET}@host/'}}",
        "auth: {tokens: ['${env.S} b']}",
        "listen: '${env.S}'",
        "flows: ['${env.S}']",
        "timeout: '${env.S}'",
        "limits: {hops: '${env.S}', url: '${env.S}'}",
        "functions: {default: '${env.S}', a: '${env.S}', b: {python: '${env.S}:'}, c: {builtin: '${env.S}'}}",
    ],
)
def test_secrets_stay_out_of_messages(text: str) -> None:
    assert not any(SECRET in problem for problem in problems_of(text, {"S": SECRET}))


@pytest.mark.parametrize(
    ("written", "environment"),
    [
        ("${env.X}", {}),
        ("${env.X}", {"X": ""}),
        ("a${env.X}b", {}),
        ("${X}", {"X": "x"}),
        ("${env.}", {"": "x"}),
        ("${env.X", {"X": "x"}),
        ("${env.x-y}", {"x-y": "x"}),
        ("${env.X.Y}", {"X.Y": "x"}),
        ("${}", {}),
    ],
)
def test_a_variable_that_is_not_there_is_a_problem(written: str, environment: dict[str, str]) -> None:
    [problem] = problems_of(f"flows: '{written}'", environment)
    assert "variable" in problem


def test_variables_anywhere_in_text() -> None:
    assert read("flows: 'a/${env.X}/${ env.Y }'", {"X": "${env.Y}", "Y": "z"}).flows == "a/${env.Y}/z"


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [("access_log", "false", False), ("timeout", "5s", 5.0), ("limits", "5", 5)],
)
def test_variables_take_the_type_that_is_asked_for(key: str, value: str, wanted: object) -> None:
    text = "limits: {hops: '${env.X}'}" if key == "limits" else f"{key}: '${{env.X}}'"
    settings = read(text, {"X": value})
    assert (settings.limits.hops if key == "limits" else getattr(settings, key)) == wanted


@pytest.mark.parametrize("name", ["default", "x"])
def test_a_unix_socket(name: str) -> None:
    fits = "%2F" + "s" * 106
    url = f"http+unix://{fits}{{name}}/" if name == "default" else f"http+unix://{fits}/"
    if name == "x":
        assert read(f"functions: {{x: '{url}'}}").functions["x"].url == url
    assert problems_of(f"functions: {{{name}: '{url.replace('ss', 'sss', 1)}'}}")


@pytest.mark.parametrize(
    "url", ["http://a", "https://A-b_c.d.:1/", "http://[::1]", "http://127.0.0.1:65535/%20//x/../y;z=1", "HTTP://a"]
)
def test_urls(url: str) -> None:
    assert read(f"functions: {{x: '{url}', y: {{url: '{url}'}}}}").functions["y"].url == url


@pytest.mark.parametrize(
    "url", ["http://{name}", "https://h/{name}/run", "http://{name}:{name}/", "http+unix://%2Frun%2F{name}/"]
)
def test_the_default(url: str) -> None:
    if url.count("{name}") == 2:
        assert problems_of(f"functions: {{default: '{url}'}}")
    else:
        assert read(f"functions: {{default: '{url}'}}").default_function == url


@pytest.mark.parametrize("python", ["a:b", "a.b:C.d", "_a1:_b"])
def test_python(python: str) -> None:
    assert read(f"functions: {{x: {{python: '{python}'}}}}").functions["x"].python == python


@pytest.mark.parametrize("python", ["a", "a:", ":b", "a:b:c", "a b:c", "a..b:c", "1a:b", "a:<lambda>", "a:b()"])
def test_no_python(python: str) -> None:
    assert problems_of(f"functions: {{x: {{python: '{python}'}}}}")


def test_every_limit_can_be_set_and_its_default_is_allowed() -> None:
    assert set(_LIMITS) == set(Limits.__struct_fields__)
    for key, (_, low, high) in _LIMITS.items():
        assert low <= getattr(Limits(), key) <= high


@pytest.mark.parametrize("path", ["/", "", "x", "/" + "s" * 107, "/a\\0b"])
def test_sockets_that_cannot_be(path: str) -> None:
    assert problems_of(f'listen: "unix:{path}"')
    assert problems_of(f'functions: {{x: "http+unix://{path.replace("/", "%2F").replace(chr(92) + "0", "%00")}/x"}}')


def test_the_longest_socket() -> None:
    assert read("listen: unix:/" + "s" * 106).listen.endswith("s")
