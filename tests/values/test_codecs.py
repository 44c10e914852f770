"""Bodies in other formats than JSON, both ways."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legato.errors import NotJSON
from legato.model.payload import EMPTY, JSON, Payload, json_payload
from legato.values import DECODERS, ENCODERS, EvaluationFailed, xml


def decoded(name: str, body: bytes, content_type: bytes = b"") -> Any:
    made = DECODERS[name](Payload.of(content_type, body))
    assert made.content_type == JSON
    assert made.size == len(made.body)
    return json.loads(made.json())


def refused(name: str, body: bytes, content_type: bytes = b"") -> str:
    with pytest.raises(NotJSON) as caught:
        DECODERS[name](Payload.of(content_type, body))
    return str(caught.value)


def encoded(name: str, document: object) -> Payload:
    return ENCODERS[name](document if isinstance(document, Payload) else json_payload(document))


def test_the_names_are_those_of_the_language() -> None:
    assert list(DECODERS) == ["json", "text", "xml", "form", "binary"]
    assert list(ENCODERS) == ["json", "form", "text"]


def test_json_whatever_it_declares() -> None:
    made = DECODERS["json"](Payload.of(b"text/html; charset=utf-8", b'{"a": 1.10}'))
    assert (made.content_type, made.body) == (JSON, b'{"a": 1.10}')
    assert decoded("json", b"") is None
    assert refused("json", b"<html>", b"application/json").startswith("declared as JSON but")
    assert refused("json", b"[" * 200 + b"]" * 200) == "JSON nested deeper than 128"


def test_text_in_its_character_set() -> None:
    assert decoded("text", b"caf\xc3\xa9", b"application/json") == "café"
    assert decoded("text", b"caf\xe9", b"text/plain; charset=ISO-8859-1") == "café"
    assert decoded("text", b"caf\xe9 \x80", b'text/plain;charset="windows-1252"') == "café €"
    assert decoded("text", "日本".encode("shift_jis"), b"text/plain; charset=Shift_JIS") == "日本"
    assert decoded("text", "é".encode("utf-16"), b"text/plain; charset=utf-16") == "é"
    assert decoded("text", b"\xef\xbb\xbfx") == "x"
    assert decoded("text", b"") == ""
    assert refused("text", b"caf\xe9") == "the body of 4 bytes is not text in utf-8"
    for name in (b"nope", b"zip", b"rot13", b"idna", b"unicode_escape", b"base64"):
        assert (
            refused("text", b"x", b"text/plain; charset=" + name) == f"the character set {name.decode()} is not known"
        )


def test_an_encoded_body_is_expanded() -> None:
    body = gzip.compress(b"<a>1</a>")
    payload = Payload(b"text/xml", (body,), len(body), b"gzip")
    assert json.loads(DECODERS["xml"](payload).body) == {"a": "1"}
    assert json.loads(DECODERS["text"](payload).body) == "<a>1</a>"
    assert base64.b64decode(json.loads(DECODERS["binary"](payload).body)) == b"<a>1</a>"


@pytest.mark.parametrize(
    ("document", "value"),
    [
        ("<a/>", {"a": ""}),
        ("<a>  text\n</a>", {"a": "text"}),
        ("<a>1</a>", {"a": "1"}),
        ('<a x="1" y=" 2 "/>', {"a": {"-x": "1", "-y": " 2 "}}),
        ('<a x="1">t</a>', {"a": {"-x": "1", "#text": "t"}}),
        ("<a><b>1</b><c>2</c></a>", {"a": {"b": "1", "c": "2"}}),
        ("<a><b>1</b><c/><b>2</b><b><d/></b></a>", {"a": {"b": ["1", "2", {"d": ""}], "c": ""}}),
        ("<a>x<b/>y</a>", {"a": {"b": "", "#text": "xy"}}),
        ("<a> <b/> </a>", {"a": {"b": ""}}),
        ("<a><![CDATA[<b>&amp;]]></a>", {"a": "<b>&amp;"}),
        ("<a>&lt;&#x41;&quot;</a>", {"a": '<A"'}),
        ("<?xml version='1.0'?><!-- c --><a><!-- c -->1<?p x?></a>", {"a": "1"}),
        (
            '<s:a xmlns:s="u" s:x="1" xmlns="v"><s:b>1</s:b></s:a>',
            {"a": {"-s": "u", "-x": "1", "-xmlns": "v", "b": "1"}},
        ),
        ('<a href="1" x:href="2"/>', {"a": {"-href": "1", "-x:href": "2"}}),
        ("<a><b><c>1</c></b><b><c>2</c></b></a>", {"a": {"b": [{"c": "1"}, {"c": "2"}]}}),
    ],
)
def test_xml(document: str, value: object) -> None:
    assert decoded("xml", document.encode()) == value


def test_xml_in_other_character_sets() -> None:
    text = "<a>é</a>"
    assert decoded("xml", text.encode("latin-1"), b"text/xml; charset=iso-8859-1") == {"a": "é"}
    assert decoded("xml", b"<?xml version='1.0' encoding='iso-8859-1'?>" + text.encode("latin-1")) == {"a": "é"}
    assert decoded("xml", ("<?xml version='1.0' encoding='utf-16'?>" + text).encode("utf-16")) == {"a": "é"}
    told = ("<?xml version='1.0' encoding='ascii'?>" + "<a>日</a>").encode("gbk")
    assert decoded("xml", told, b"text/xml; charset=gbk") == {"a": "日"}
    assert refused("xml", text.encode("latin-1")).startswith("not XML: not well-formed")
    assert "encoding that is not known" in refused("xml", b"<?xml version='1.0' encoding='zip'?><a/>")


LAUGHS = b"<!DOCTYPE a [<!ENTITY x 'ha'>%b]><a>&x9;</a>" % b"".join(
    b"<!ENTITY x%d '%b'>" % (level, b"&x%d;" % (level - 1) * 10) for level in range(1, 10)
)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (LAUGHS, "XML with a document type declaration is not read"),
        (b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", "XML with a document type declaration is not read"),
        (b"<!DOCTYPE a><a/>", "XML with a document type declaration is not read"),
        (b"<a>&x;</a>", "not XML: undefined entity: line 1, column 3"),
        (b"", "not XML: no element found: line 1, column 0"),
        (b"<a>", "not XML: no element found: line 1, column 3"),
        (b"<a/><b/>", "not XML: junk after document element: line 1, column 4"),
        (b"{}", "not XML: not well-formed (invalid token): line 1, column 0"),
        (b"<a>" * 129 + b"</a>" * 129, "XML nested deeper than 128"),
    ],
)
def test_xml_that_is_not_read(document: bytes, said: str) -> None:
    assert refused("xml", document) == said


def test_xml_of_many_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml, "MAX_ELEMENTS", 1_000)
    assert len(decoded("xml", b"<a>" + b"<b/>" * 999 + b"</a>")["a"]["b"]) == 999
    assert refused("xml", b"<a>" + b"<b/>" * 1_000 + b"</a>") == "XML of more than 1,000 elements"
    assert refused("xml", b"<a>" + b"<b x=''/>" * 500 + b"</a>") == "XML of more than 1,000 elements"
    assert "a" in decoded("xml", b"<a>" * 128 + b"</a>" * 128)


def test_xml_that_becomes_too_deep() -> None:
    deep = b"<b/>"
    for _ in range(90):
        deep = b"<b/><b>%b</b>" % deep  # each level is an object and a list
    assert refused("xml", b"<a>%b</a>" % deep) == "JSON nested deeper than 128"


def test_forms() -> None:
    assert decoded("form", b"a=1&b=x+y&a=2&c=%C3%A9&d&e=&a=3") == {
        "a": ["1", "2", "3"], "b": "x y", "c": "é", "d": "", "e": "",
    }  # fmt: skip
    assert decoded("form", b"") == {}
    assert decoded("form", b"a=1;b=2") == {"a": "1;b=2"}
    assert refused("form", b"a=%FF") == "the form holds bytes that are not UTF-8"
    assert refused("form", b"a=\xff") == "the body of 3 bytes is not text in utf-8"
    assert refused("form", b"a&" * 100_001) == "the form has more than 100,000 fields"


@given(st.binary())
def test_binary_is_base64(body: bytes) -> None:
    assert base64.b64decode(decoded("binary", body, b"application/json")) == body


@given(st.binary(max_size=60), st.sampled_from([b"", JSON, b"text/xml", b"text/plain; charset=utf-16", b";charset="]))
def test_any_body_is_decoded_or_refused(body: bytes, content_type: bytes) -> None:
    for name in DECODERS:
        try:
            made = DECODERS[name](Payload.of(content_type, body))
        except NotJSON:
            continue
        assert made.content_type == JSON
        assert made.body == b"null" or json.loads(made.body) is not None


markup = st.lists(
    st.sampled_from(
        ["<a>", "</a>", "<b x='1'>", "</b>", "<c/>", "t", " ", "&lt;", "<!-- -->", "<![CDATA[", "]]>", "é"]
    ),
    max_size=12,
).map("".join)


@given(markup)
def test_any_markup(inside: str) -> None:
    try:
        value = decoded("xml", f"<r>{inside}</r>".encode())
    except NotJSON:
        return
    assert list(value) == ["r"]


def test_json_bodies_are_sent_as_they_are() -> None:
    payload = Payload.of(b"image/png", b"\xff")
    assert ENCODERS["json"](payload) is payload


def test_form_bodies() -> None:
    made = ENCODERS["form"](
        Payload.of(JSON, b'{"a": 1.10, "b": [1, "x y", null], "c": null, "d": true, "\\u00e9": "&=+"}')
    )
    assert made.content_type == b"application/x-www-form-urlencoded"
    assert made.body == b"a=1.10&b=1&b=x+y&d=true&%C3%A9=%26%3D%2B"
    assert encoded("form", {}).body == b""
    for document, said in (
        ([1], "a form is made of an object, and there is a list"),
        (None, "a form is made of an object, and there is null"),
        ({"a": {"b": 1}}, "a form holds no nested values, and `a` is or holds an object"),
        ({"a": [[1]]}, "a form holds no nested values, and `a` is or holds a list"),
        (EMPTY, "a form is made of an object, and there is null"),
        (
            Payload.of(b"image/png", b"\xff"),
            "a form cannot be made of this: image/png of 1 bytes is neither JSON nor text",
        ),
    ):
        with pytest.raises(EvaluationFailed) as caught:
            encoded("form", document)
        assert str(caught.value) == said


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8"))))
def test_any_form_reads_back(fields: dict[str, str]) -> None:
    made = encoded("form", fields)
    assert dict(parse_qsl(made.body.decode(), keep_blank_values=True)) == fields
    if all(fields):
        assert json.loads(DECODERS["form"](made).body) == fields


def test_text_bodies() -> None:
    made = encoded("text", 'caf\u00e9 "x"\n')
    assert (made.content_type, made.body) == (b"text/plain; charset=utf-8", 'caf\u00e9 "x"\n'.encode())
    assert ENCODERS["text"](Payload.of(JSON, b" 1.10 ")).body == b"1.10"
    assert encoded("text", True).body == b"true"
    csv = Payload.of(b"text/csv; charset=latin-1", b"\xe9")
    assert encoded("text", csv) is csv
    for document, kind in (({}, "an object"), ([], "a list"), (None, "null"), (EMPTY, "null")):
        with pytest.raises(EvaluationFailed) as caught:
            encoded("text", document)
        assert str(caught.value) == f"a body of text is made of text, a number or a boolean, and there is {kind}"
