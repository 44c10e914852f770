"""Where the limits of what is made lie, to the byte; with limits that a test can reach."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from urllib.parse import parse_qs

import msgspec
import pytest

from legato.errors import NotJSON
from legato.model import payload as payloads
from legato.model.payload import JSON, Payload, json_payload, too_large
from legato.values import (
    DECODERS,
    ENCODERS,
    EvaluationFailed,
    codecs,
    compile_expression,
    compile_path,
    compile_query,
    compile_shape,
    compile_template,
    compile_text,
    pieces,
    template,
    texts,
    trees,
    urls,
    writing,
)
from tests.values.scene import Scene


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of 40 bytes for everything."""
    for module, name in [
        (payloads, "MAX_BYTES"), (codecs, "MAX_BYTES"), (template, "MAX_BYTES"), (trees, "MAX_BYTES"),
        (writing, "MAX_BYTES"),
        (pieces, "MAX_LINE"), (texts, "MAX_LINE"), (urls, "MAX_LINE"),
    ]:  # fmt: skip
        monkeypatch.setattr(module, name, 40)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("given", "fits"),
    [
        (["${value}", "${value}", 12], "x" * 15),
        ({"a": "${value}", "bb": "${value}"}, "x" * 12),
        (["${value.a}", "${value.a}", "${value.b}"], {"a": "x" * 15, "b": 12}),  # read together
        (["${value[0]}", "${value[0]}", "${value[1]}"], ["x" * 15, 12]),
        ("12${value}3456${value}", "x" * 16),
        (["1${value}2", 12], "x" * 31),
    ],
)
def test_a_template_to_the_byte(given: object, fits: object) -> None:
    """What it makes may have 40 bytes."""
    made = compile_template(given)
    assert made.payload(Scene(value=fits)).size == 40
    larger = msgspec.json.encode(fits).replace(b"x", b"xx", 1)
    with pytest.raises(EvaluationFailed, match="would have more than"):
        made.payload(Scene(value=larger))


@pytest.mark.usefixtures("small")
def test_an_expression_to_the_byte() -> None:
    """Characters are counted as they are made, and bytes when they are written."""
    for source, fits in (("[value, 1234]", "\x01" * 5 + "x"), ("value + '!'", "\x01" * 6 + "x")):
        expression = compile_expression(source)
        assert len(expression.evaluate(Scene(value=fits))) == 40
        with pytest.raises(EvaluationFailed, match=r"` gives more than .* bytes; loop over fewer elements"):
            expression.evaluate(Scene(value=fits + "x"))


@pytest.mark.usefixtures("small")
def test_the_largest_part_is_named() -> None:
    """Not the one that there was no more room for."""
    made = compile_template({"a": "${value.one}", "b": "and ${value.two}", "c": "${value.three}"})
    scene = Scene(value={"one": "x", "two": "x" * 20, "three": "x" * 15})
    with pytest.raises(EvaluationFailed, match=r"^this, of which `and \$\{value\.two\}` has 26 bytes, would"):
        made.payload(scene)
    with pytest.raises(EvaluationFailed, match=r"^this would have more"):
        compile_template({"k" * 30: "${value}"}).payload(Scene(value="x" * 10))


@pytest.mark.usefixtures("small")
def test_lines_to_the_character() -> None:
    """Paths, queries, headers and texts; what is encoded counts as it is encoded."""
    env = Scene(value="x" * 35, item="é")
    assert len(compile_text("12345${value}").text(env)) == 40
    assert len(compile_text("12345${value}").header(env)) == 40
    assert len(compile_path("/2345${value}").path(env)) == 40
    assert len(compile_query({"q": "${value}", "r": ""}).query(env)) == 40
    for make in (compile_text("123456${value}").text, compile_text("123456${value}").header):
        with pytest.raises(EvaluationFailed, match="would have more than 40 bytes"):
            make(env)
    for path in ("/23456${value}", "/${value}${item}"):
        with pytest.raises(EvaluationFailed, match="would have more than 40 bytes"):
            compile_path(path).path(env)
    for query in ({"q": "${value}", "rr": ""}, {"q": ["${value}", 1]}, {"q": "${value}${item}"}):
        with pytest.raises(EvaluationFailed, match="would have more than 40 bytes"):
            compile_query(query).query(env)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("fields", [{"a": "x" * 38}, {"a": "x" * 10, "b": ["y" * 11, "z" * 11]}, {"a": "é" * 6}])
def test_forms_to_the_byte(fields: Mapping[str, str]) -> None:
    """As they are sent: encoded."""
    encode = ENCODERS["form"]
    made = encode(json_payload(fields))
    assert made.size <= 40
    assert parse_qs(made.body.decode()) == {name: [*([v] if isinstance(v, str) else v)] for name, v in fields.items()}
    with pytest.raises(EvaluationFailed, match="the form, at `a`, would have more than "):
        encode(json_payload({"b": None, "a": "x" * 40}))
    with pytest.raises(EvaluationFailed, match="the form, at `more`, would have more than "):
        encode(json_payload({**fields, "more": "é" * 6}))


def test_a_long_text_is_encoded_alike_in_slices() -> None:
    """No character is cut in two."""
    text = "ab é\U0001f3b5&=" * 40_000
    (found,) = parse_qs(ENCODERS["form"](json_payload({text: text})).body.decode()).items()
    assert found == (text, [text])


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("decoder", "fits", "not_any_more"),
    [
        ("text", b"x" * 38, b"x" * 39),
        ("text", b"\x01" * 6, b"\x01" * 7),
        ("binary", b"\xff" * 27, b"\xff" * 28),
        ("form", b"a=%b" % (b"x" * 32), b"a=%b" % (b"x" * 33)),
        ("xml", b"<a>%b</a>" % (b"x" * 32), b"<a>%b</a>" % (b"x" * 33)),
    ],
)
def test_what_is_decoded_to_the_byte(decoder: str, fits: bytes, not_any_more: bytes) -> None:
    """The JSON counts, not what it was made of."""
    assert DECODERS[decoder](Payload.of(b"", fits)).size <= 40
    with pytest.raises(NotJSON, match=rf"the body of {len(not_any_more)} bytes as JSON would have more than"):
        DECODERS[decoder](Payload.of(b"", not_any_more))


@pytest.mark.usefixtures("small")
def test_texts_that_are_read_as_json() -> None:
    """A text as a part of a document is longer than it was."""
    assert Payload.of(b"text/plain", b"\x01" * 6).json() == b'"%b"' % (rb"\u0001" * 6)
    with pytest.raises(NotJSON, match="text/plain of 7 bytes as a JSON string would have more than"):
        Payload.of(b"text/plain", b"\x01" * 7).json()
    assert Payload.of(JSON, b" " * 50 + b"1").json() == b" " * 50 + b"1", "what is JSON has come as it is"


@pytest.mark.usefixtures("small")
def test_long_names_for_many_fields() -> None:
    """Counted as they are given, for each element."""
    shape = compile_shape(rename={"rows.a": "rows.long_name_of_ten"})
    rows = {"rows": [{"a": 1}] * 3}
    with pytest.raises(EvaluationFailed, match="the value with its fields renamed would have"):
        shape.payload(json_payload(rows))
    assert shape.payload(json_payload({"rows": [{"a": 1}] * 2})).value() == {"rows": [{"long_name_of_ten": 1}] * 2}


def test_what_decodes_to_much_is_not_kept() -> None:
    """Many answers may be held at once, and each be small as it came; what is read often and is not large is kept."""
    for size, kept in ((2_000_000, False), (1_000, True)):
        body = gzip.compress(b'"%b"' % (b"x" * size))
        payload = Payload(JSON, (body,), len(body), b"gzip")
        first = payload.json()
        assert len(first) == size + 2
        assert (payload.json() is first) == kept


def test_the_words_name_a_remedy() -> None:
    """What is too large, the limit, and what to do."""
    assert too_large("the text", 5) == (
        "the text would have more than 5 bytes; leave out what is not needed, or pass on a link to it"
    )
