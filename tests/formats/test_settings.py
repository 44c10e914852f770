"""What the environment does to settings, and that no secret gets into a message."""

from __future__ import annotations

import pytest

from legato.formats import read_settings
from legato.formats.settings import LIMITS
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
    assert set(LIMITS) == set(Limits.__struct_fields__)
    for key, (_, low, high) in LIMITS.items():
        assert low <= getattr(Limits(), key) <= high


@pytest.mark.parametrize("path", ["/", "", "x", "/" + "s" * 107, "/a\\0b"])
def test_sockets_that_cannot_be(path: str) -> None:
    assert problems_of(f'listen: "unix:{path}"')
    assert problems_of(f'functions: {{x: "http+unix://{path.replace("/", "%2F").replace(chr(92) + "0", "%00")}/x"}}')


def test_the_longest_socket() -> None:
    assert read("listen: unix:/" + "s" * 106).listen.endswith("s")


# Where definitions are kept, and who may do what.


@pytest.mark.parametrize(
    "store",
    [
        "files", "sqlite:x", "sqlite:/var/lib/x.db", "valkey://h", "valkeys://u:p@h:6380/2", "redis://h", "rediss://h",
        "unix:///run/x.sock", "redis://[::1]:6379/1",
    ],
)  # fmt: skip
def test_stores(store: str) -> None:
    assert read(f"store: '{store}'").store == store
    assert read("store: '${env.S}'", {"S": store}).store == store


@pytest.mark.parametrize(
    "store",
    [
        "sqlite:",
        "sqlite",
        "legato.db",
        "http://h",
        "valkey:/h",
        "valkey://",
        "redis://:1",
        "files:",
        "'",
        "redis://h:x",
    ],
)
def test_no_stores(store: str) -> None:
    [problem] = problems_of("store: '${env.S}'", {"S": store})
    assert "remedy: write " in problem
    assert "${env.S}" not in problem


@pytest.mark.parametrize("url", ["redis://cache:6379", "valkey://h/3", "rediss://:p@h", "unix:///run/x"])
def test_fnkit_s_variable_wins(url: str) -> None:
    assert read("", {"CACHE_URL": url}).store == url
    assert read("store: files", {"CACHE_URL": url}).store == url


@pytest.mark.parametrize("url", ["", " ", "files", "sqlite:x", "cache:6379", "http://h", f"redis://me:{'x' * 9}@:1"])
def test_fnkit_s_variable_may_be_wrong(url: str) -> None:
    [problem] = problems_of("", {"CACHE_URL": url})
    assert problem.startswith("legato.yaml: the variable CACHE_URL ")
    assert "remedy: write " in problem
    assert "xxx" not in problem
    assert len(problems_of("store: http://h", {"CACHE_URL": url})) == 2


def test_the_token_of_who_defines() -> None:
    everything = ("run", "observe", "define")
    assert read("", {"LEGATO_ADMIN_TOKEN": "a"}).tokens == {"a": everything}
    both = read("", {"LEGATO_ADMIN_TOKEN": "a", "LEGATO_TOKEN": "t"}).tokens
    assert both == {"t": CALLER_SCOPES, "a": everything}
    assert read("", {"LEGATO_ADMIN_TOKEN": "a", "LEGATO_TOKEN": "a"}).tokens == {"a": everything}
    scoped = "auth: {tokens: [{token: a, scopes: [define]}, {token: b, scopes: [observe]}]}"
    assert read(scoped).tokens == {"a": ("define",), "b": ("observe",)}
    assert read(scoped, {"LEGATO_TOKEN": "a"}).tokens["a"] == everything
    assert read("auth: {tokens: [a]}", {"LEGATO_ADMIN_TOKEN": "a"}).tokens == {"a": everything}


@pytest.mark.parametrize("token", ["", " ", "a b", "\u00e9"])
def test_a_token_of_who_defines_that_is_none(token: str) -> None:
    [problem] = problems_of("", {"LEGATO_ADMIN_TOKEN": token})
    assert problem.startswith("legato.yaml: the variable LEGATO_ADMIN_TOKEN ")
    assert "remedy: " in problem


@pytest.mark.parametrize("scopes", ["[]", "[admin]", "[run, 1]", "run", "{run: 1}", "", "[Run]", "[[run]]", "[null]"])
def test_scopes_that_are_none(scopes: str) -> None:
    assert problems_of(f"auth: {{tokens: [{{token: {SECRET}, scopes: {scopes}}}]}}")
    assert not any(SECRET in p for p in problems_of(f"auth:\n  tokens:\n    - scopes: {scopes}\n      token: {SECRET}"))


@pytest.mark.parametrize(
    "text",
    [
        f"cache_url: redis://:{SECRET}@host",
        f"stor: valkey://u:{SECRET}@h",
        f"store:\n  valkey://u:{SECRET}@h:x",
        f"store: [\n  valkey://u:{SECRET}@h\n]",
        f"store:\n  url: valkey://u:{SECRET}@h",
        f"store: files\nstore: valkey://u:{SECRET}@h",
        f"store: http://u:{SECRET}@h",
        f"store: valkey://u:{SECRET}@h:99999",
        f"listen: http://u:{SECRET}@h/",
        f"direct_functions: redis://u:{SECRET}@h",
        f"redis://u:{SECRET}@h",
        f"auth:\n  tokens:\n    - scopes: [run]\n      tokn: {SECRET}",
        f"auth:\n  tokens:\n    - {{scopes: [run],\n      secret: {SECRET}}}",
        f"auth:\n  key: {SECRET}",
        f"auth:\n  - {SECRET}",
        f"auth:\n  tokens:\n    {SECRET}: [run]",
        f"auth:\n  tokens:\n    x:\n      {SECRET}",
        f"auth:\n  tokens:\n    - |\n      {SECRET}\n      x y",
        f"auth:\n  tokens:\n    - token: a\n      token: {SECRET}\n      scopes: [run]",
        f"auth: {{tokens: [{{token: {SECRET}, scops: [run]}}]}}",
        f"auth:\n\ttokens: {SECRET}",
        f"auth: {{tokens: {SECRET}}}",
        f"auth:\n  tokens: {SECRET}",
        f"auth:\n  tokens:\n    {SECRET}",
        f"auth: {{tokens: [{{{SECRET}: run}}]}}",
        f"auth: {{{SECRET}: []}}",
        f"auth:\n  tokens: [{{token: a, scopes: [{SECRET}]}}]",
        f"auth:\n  tokens:\n    - *{SECRET}",
        f"auth:\n  tokens:\n    - &{SECRET} a",
        f"auth:\n  tokens:\n    - !{SECRET} a",
        f"auth: {{tokens: [!{SECRET} a]}}",
        f"callback_secret: {SECRET}",
        f"callback_secret:\n  {SECRET}",
        f"callback_secret: [{SECRET}]",
        f"callback_secret: {{{SECRET}: {SECRET}}}",
        f"callback_secret: {{\n  a: {SECRET}}}",
        f"callback_secrets: {SECRET}",
        f"callback: {SECRET}",
        f"callback:\n  secret: {SECRET}",
        f"secret: {SECRET}",
        f"callback_secret: *{SECRET}",
        f"callback_secret: !{SECRET} a",
        f"callback_secret: {SECRET}\ncallback_secret: {SECRET}",
        f"callback_secret: '{SECRET}\n",
    ],
)
def test_secrets_stay_out_of_messages_wherever_they_stand(text: str) -> None:
    assert not any(SECRET in problem for problem in problems_of(text))


def test_the_secret_of_callbacks() -> None:
    assert read("").callback_secret == ""
    assert read(f"callback_secret: {'a' * 16}").callback_secret == "a" * 16
    assert problems_of(f"callback_secret: {'a' * 15}")
    assert read("callback_secret: '${env.S}'", {"S": "b" * 16}).callback_secret == "b" * 16
    assert read("callback_secret: whsec_c2VjcmV0LXNlY3JldA==").callback_secret.endswith("==")
    assert problems_of("callback_secret: whsec_no-base64-at-all")
    assert problems_of("callback_secret: whsec_c2VjcmV0LXNlY3JldA")
    [problem] = problems_of("callback_secret: '${env.S}'", {"S": "short-one"})
    assert "short-one" not in problem


@pytest.mark.parametrize(("text", "wanted"), [("true", True), ("false", False), ("[a, B_c]", ("a", "B_c")), ("[]", ())])
def test_functions_that_may_be_called_directly(text: str, wanted: object) -> None:
    assert read(f"direct_functions: {text}").direct_functions == wanted
    assert read("").direct_functions is False


def test_a_variable_decides_whether() -> None:
    assert read("direct_functions: '${env.D}'", {"D": "true"}).direct_functions is True
    assert problems_of("direct_functions: '${env.D}'", {"D": "all"})


@pytest.mark.parametrize("text", ["yes", "1", "a", "{a: b}", "", "[api]", "['12']", "[a b]", "[[a]]", "[null]", "['']"])
def test_functions_that_may_not(text: str) -> None:
    assert problems_of(f"direct_functions: {text}")
