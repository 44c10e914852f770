"""What expressions mean, beyond what CEL's other implementation is asked about in test_oracle."""

from __future__ import annotations

import pytest

from legato.model.payload import Payload
from legato.values import EvaluationFailed, compile_expression
from tests.values.scene import Scene, evaluate, failure

VALUE = {
    "items": [{"name": "a", "price": 1}, {"name": "b", "price": 2.5}, {"name": "c"}],
    "user": {"name": "Zoë", "tags": ["x", "y"]},
    "nothing": None, "text": "héllo", "when": "2024-02-29T12:00:00+02:00", "yes": True,
}  # fmt: skip
STEPS: dict[str, object] = {"done": {"ok": True}, "skipped": None, "empty": Payload.of(b"", b"")}


def check(source: str, result: str) -> None:
    if result.startswith("!"):
        said = failure(source, STEPS, value=VALUE, index=3, item=b'"it"')
        assert said.removeprefix(f"`${{{source}}}`").removeprefix(":").strip() == result[1:]
    else:
        assert evaluate(source, STEPS, value=VALUE, index=3, item=b'"it"') == result


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("has(value.user)", "true"),
        ("has(value.user.name)", "true"),
        ("has(value.user.nope)", "false"),
        ("has(value.user.nope.deeper)", "false"),
        ("has(value.text.x)", "false"),
        ("has(value.nothing)", "true"),
        ("has(value.nothing.x)", "false"),
        ("has(value['user'])", "true"),
        ("has(value.items[0].price)", "true"),
        ("has(value.items[2].price)", "false"),
        ("has(value.items[3])", "false"),
        ("has(value.items[index])", "false"),
        ("has(value.items[index - 2].price)", "true"),
        ("has(value.nope[index].price)", "false"),
        ("has(steps.done)", "true"),
        ("has(steps.skipped)", "false"),
        ("has(steps.empty)", "false"),
        ("has(steps.skipped.x)", "false"),
        ("has(steps.done.ok)", "true"),
        ("has({'a': 1}.a)", "true"),
        ("has({'a': 1}.b)", "false"),
        ("value.items.map(i, has(i.price))", "[true,true,false]"),
        ("value.items.map(i, has(i.price.x))", "[false,false,false]"),
        ("has(value.user.nope) ? value.user.nope : 'none'", '"none"'),
        ("has(item.x)", "false"),
    ],
)
def test_has_asks_and_never_fails(source: str, result: str) -> None:
    check(source, result)


def test_has_of_what_is_no_json_is_false() -> None:
    assert evaluate("has(value.x)", value=Payload.of(b"image/png", b"\xff")) == "false"
    assert evaluate("has(value.x)", value=Payload.of(b"application/json", b"{")) == "false"
    assert evaluate("has(value[index])", value=Payload.of(b"image/png", b"\xff"), index=0) == "false"


MISSING = (
    "!`value.nope`: there is no `nope` in the object with the keys `items`, `user`, `nothing`, `text`, `when`, `yes`"
)


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("value.nope || true", "true"),
        ("true || value.nope", "true"),
        ("value.nope && false", "false"),
        ("false && value.nope", "false"),
        ("value.nope || false", MISSING),
        ("false || value.nope", MISSING),
        ("value.nope && true", MISSING),
        ("false || value.nope || 1 / 0 > 1", MISSING),
        ("'x' || true", "true"),
        ("'x' || false", "!`||` needs a boolean, and there is text; compare it with something"),
        ("1 && true", "!`&&` needs a boolean, and there is a number; compare it with something"),
        ("!value.text", "!`!` needs a boolean, and there is text; compare it with something"),
        ("value.yes ? 1 : value.nope", "1"),
        ("value.text ? 1 : 2", "!`?` needs a boolean, and there is text; compare it with something"),
        ("!(value.nope == 1) || true", "true"),
        ("value.items.exists(i, i.price > 2)", "true"),
        ("value.items.exists(i, i.price > 99)", "!there is no `price` in the object with the keys `name`"),
        ("value.items.all(i, i.price > 99)", "false"),
        ("value.items.all(i, i.price > 0)", "!there is no `price` in the object with the keys `name`"),
        ("value.items.exists_one(i, i.price > 2)", "!there is no `price` in the object with the keys `name`"),
        ("value.items.existsOne(i, i.name == 'a')", "true"),
        ("[1, 1].exists_one(x, x == 1)", "false"),
        ("[].all(x, x > 0)", "true"),
        ("[].exists(x, x > 0)", "false"),
        ("[1].filter(x, x)", "!the test of `filter` needs a boolean, and there is a number; compare it with something"),
        ("[1].map(x, x, x)", "!the test of `map` needs a boolean, and there is a number; compare it with something"),
        ("[1].exists(x, x)", "!the test of `exists` needs a boolean, and there is a number; compare it with something"),
    ],
)
def test_what_decides_is_enough(source: str, result: str) -> None:
    check(source, result)


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("value.items.filter(i, has(i.price)).map(i, i.price * 2)", "[2,5.0]"),
        ("value.items.map(i, has(i.price), i.name)", '["a","b"]'),
        ("value.user.map(k, k)", '["name","tags"]'),
        ("value.items.map(i, [1].map(j, i.name))", '[["a"],["b"],["c"]]'),
        ("value.items.map(i, [i.name].map(i, i + i))", '[["aa"],["bb"],["cc"]]'),
        ("[3].map(item, item + index)", "[6]"),
        ("[[1, 2], [3]].map(x, x.map(y, y + x[0]))", "[[2,3],[6]]"),
        ("value.items[index - 2].name", '"b"'),
        ("value.items.map(i, i)[0].price", "1"),
        ("value['us' + 'er'].tags[1]", '"y"'),
        ("{'a': {'b': [7]}}.a.b[0]", "7"),
        ("{1: 'one', 2: 'two'}[2]", '"two"'),
        ("{1: 'one'}[1.0]", '"one"'),
        ("[1, 2,][1.0]", "2"),
        ("'name' in value.user", "true"),
        ("null in [1, null]", "true"),
        ("true in [1]", "false"),
        ("1 in [true, 1.0]", "true"),
        ("[1] in [[1.0]]", "true"),
        ("1 in {1: 2}", "true"),
        ("null in {1: 2}", "false"),
        ("[1] in {1: 2}", "false"),
        ("true in {1: 2}", "false"),
        ("type(1) == int && type(1.0) == double && type('') == string && type([]) == list", "true"),
        ("type({}) == map && type(null) == null_type && type(true) == bool && type(b'') == bytes", "true"),
        ("type(int) == type", "true"),
        ("[type(1), type(timestamp(0))]", '["int","google.protobuf.Timestamp"]'),
        ("dyn(1) + 1", "2"),
        ("1 // the first\n + 2", "3"),
        ("'a\\x41\\u00e9\\U0001F600\\101\\n\\'\\\"\\\\\\?'", '"aA\u00e9\U0001f600A\\n\'\\"\\\\?"'),
        ('r\'\\d\' + "it\'s" + \'\'\'a\'b\nc\'\'\' + """x"y""" + R"\\"', '"\\\\dit\'sa\'b\\ncx\\"y\\\\"'),
        ("{'a': 1, 'b': [true, null]}", '{"a":1,"b":[true,null]}'),
    ],
)
def test_values(source: str, result: str) -> None:
    check(source, result)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("value.items[index]", "there is no `[3]` in the list of 3"),
        ("value.items[-1 * 1]", "there is no `[-1]` in the list of 3"),
        ("value.items[0.5 + 0]", "there is no a number in the list of 3"),
        ("value.items['a' + '']", "a list is asked for `a`; it takes an integer"),
        ("value.items[true]", "a list is asked for a boolean; it takes an integer"),
        ("value.text[index]", "text has no elements; write `charAt(0)` for a character"),
        ("value.user['x' + 'y']", "there is no `xy` in the object with the keys `name`, `tags`"),
        ("{true: 1}", "a boolean cannot be a key"),
        ("{'a': 1, 'a': 2}", "the key `a` is given twice"),
        ("{1: 2}", "a number cannot be a key in JSON; write `string(...)` around it"),
        ("value.items.map(i, i.name.x)", "text is asked for `x`; only objects and lists have elements"),
        ("1 in 'abc'", "`in` asks a list or an object, not text; write `text.contains(...)`"),
        ("1 in 2", "`in` asks a list or an object, not a number"),
        ("value.text.map(c, c)", "`map` works on a list or an object, not on text"),
        ("value.nothing.filter(c, c)", "`filter` works on a list or an object, not on null"),
        ("-value.text", "`-` does not work on text"),
        ("[1] + 1", "`+` does not work on a list and a number"),
        ("value.user < value.user", "`<` does not work on an object and an object"),
        ("value.text.substring(1, 9)", "there is no position 9 in a text of 5 characters"),
        ("size(3)", "`size` works on text, a list or an object, not on a number"),
        ("value.text.split(1)", "`split` works on text, not on a number"),
    ],
)
def test_what_cannot_be_computed_is_said(source: str, said: str) -> None:
    check(source, "!" + said)


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("size(value.text)", "5"),
        ("'\U0001f600'.size()", "1"),
        ("size(b'\\xc3\\xa9')", "2"),
        ("size({'a': 1})", "1"),
        ("size([])", "0"),
        ("value.text.upperAscii()", '"HéLLO"'),
        ("'ÉA'.lowerAscii()", '"Éa"'),
        ("'\\t a b \\n'.trim()", '"a b"'),
        ("'héllo'.charAt(1)", '"é"'),
        ("'abc'.charAt(3)", '""'),
        ("'a,b,,c'.split(',')", '["a","b","","c"]'),
        ("'a,b,c'.split(',', 2)", '["a","b,c"]'),
        ("'a,b,c'.split(',', 1)", '["a,b,c"]'),
        ("'a,b'.split(',', 0)", "[]"),
        ("'a,b'.split(',', -1)", '["a","b"]'),
        ("'abc'.split('')", '["a","b","c"]'),
        ("'abc'.split('', 2)", '["a","bc"]'),
        ("['a', 'b'].join('-')", '"a-b"'),
        ("['a', 'b'].join()", '"ab"'),
        ("[].join('-')", '""'),
        ("'banana'.replace('a', 'o')", '"bonono"'),
        ("'banana'.replace('a', 'o', 2)", '"bonona"'),
        ("'banana'.replace('a', 'o', 0)", '"banana"'),
        ("'ab'.replace('', '-')", '"-a-b-"'),
        ("'banana'.indexOf('an')", "1"),
        ("'banana'.indexOf('an', 2)", "3"),
        ("'banana'.indexOf('x')", "-1"),
        ("'banana'.indexOf('')", "0"),
        ("'banana'.lastIndexOf('an')", "3"),
        ("'banana'.lastIndexOf('an', 2)", "1"),
        ("'banana'.lastIndexOf('an', 0)", "-1"),
        ("'banana'.lastIndexOf('')", "6"),
        ("'banana'.lastIndexOf('', 2)", "2"),
        ("'banana'.substring(2)", '"nana"'),
        ("'banana'.substring(2, 4)", '"na"'),
        ("'banana'.substring(6)", '""'),
        ("'abc'.reverse()", '"cba"'),
        ("'order-17'.matches('^[a-z]+-\\\\d+$')", "true"),
        ("matches('order', 'x')", "false"),
        ("'order'.matches('^' + 'o')", "true"),
        ("bool('true') && !bool('F' + 'ALSE')", "true"),
        ("string(b'caf\\xc3\\xa9')", '"café"'),
        ("string(true)", '"true"'),
        ("bytes('é')", '"w6k="'),
        ("b'\\377' + b'a'", '"/2E="'),
        ("[3, 1, 2].sort()", "[1,2,3]"),
        ("['b', 'a'].sort()", '["a","b"]'),
        ("[2, 1.5].sort()", "[1.5,2]"),
        ("[].sort()", "[]"),
        ("[3, 1].reverse()", "[1,3]"),
        ("[1, 1.0, true, '1', 1, true].distinct()", '[1,true,"1"]'),
        ("[[1], [1.0], [true], {'a': 1}, {'a': 1.0}].distinct()", '[[1],[true],{"a":1}]'),
        ("[[1], [2, [3]], 4].flatten()", "[1,2,[3],4]"),
        ("[[1], [2, [3]], 4].flatten(2)", "[1,2,3,4]"),
        ("[[1]].flatten(0)", "[[1]]"),
        ("[1, 2, 3].slice(1, 3)", "[2,3]"),
        ("lists.range(3)", "[0,1,2]"),
        ("lists.range(-1)", "[]"),
        ("[1, 3, 2].min() + [1, 3, 2].max()", "4"),
        ("['b', 'a'].max()", '"b"'),
        ("[duration('1m'), duration('1s')].sum()", '"61s"'),
        ("timestamp(value.when)", '"2024-02-29T10:00:00Z"'),
        ("timestamp(value.when).getHours('+02:00')", "12"),
        ("timestamp(value.when).getMinutes('-00:30')", "30"),
        ("timestamp(value.when).getHours('UTC')", "10"),
        ("timestamp(0)", '"1970-01-01T00:00:00Z"'),
        ("int(timestamp('1969-12-31T23:59:59.5Z'))", "-1"),
        ("timestamp('2024-01-01T00:00:00Z') + duration('36h')", '"2024-01-02T12:00:00Z"'),
        ("duration('1h') - duration('90m')", '"-1800s"'),
        ("-duration('1.5s')", '"-1.5s"'),
        ("string(duration('100ms'))", '"0.1s"'),
        ("duration('1h30m').getMinutes()", "90"),
        ("duration('-1.25s').getMilliseconds()", "-250"),
        ("timestamp('2024-01-01T00:00:00Z') < timestamp('2024-01-01T00:00:00.000000001Z')", "true"),
    ],
)
def test_functions(source: str, result: str) -> None:
    check(source, result)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "[1, 'a'].sort()",
            "`<` does not work on text and a number; write `double(...)` around the text if it holds a number",
        ),
        ("[true, 1].max()", "`<` does not work on a number and a boolean"),
        ("[].max()", "`max` of an empty list; ask for `size(...) > 0` first"),
        ("[1, 'a'].join(',')", "`join` works on a list of texts, and there is a number; write `map(x, string(x))`"),
        ("[1, '2'].sum()", "`sum` works on a list of numbers, and there is text"),
        ("[true].sum()", "`sum` works on a list of numbers, and there is a boolean"),
        ("[duration('1s'), 1].sum()", "`+` does not work on a duration and a number"),
        ("[1].slice(0, 2)", "there is no slice from 0 to 2 of a list of 1"),
        ("[1].flatten(-1)", "`flatten` takes a depth from 0 on"),
        ("'abc'.substring(2, 1)", "position 2 is behind position 1"),
        ("'abc'.charAt(-1)", "there is no position -1 in a text of 3 characters"),
        (
            "'a'.matches('(' + '')",
            "the pattern is not valid; write a smaller one, without lookaround and backreferences",
        ),
        ("string(b'\\xff')", "these bytes are not UTF-8, and so no text"),
        ("bool('yes')", "the text is neither true nor false"),
        ("bool(1)", "a number cannot be made a boolean"),
        ("timestamp('2024-02-30T00:00:00Z')", "the text is no date and time that exists"),
        ("timestamp('tomorrow')", "the text is no timestamp; write it as 2024-12-31T23:59:59Z"),
        ("timestamp(0).getHours('Europe/Paris')", "the text is no offset; write a time zone as +02:00 or UTC"),
        ("duration('5')", "the text is no duration; write it as 1h30m or 2.5s"),
        ("'1h'.getHours()", "`getHours` works on a timestamp or a duration, not on text"),
        ("duration('1h').getFullYear()", "`getFullYear` works on a timestamp, not on a duration"),
    ],
)
def test_what_functions_refuse(source: str, said: str) -> None:
    check(source, "!" + said)


def test_truth_is_a_boolean_and_nothing_else() -> None:
    scene = Scene(STEPS, value=VALUE)
    assert compile_expression("value.yes").truth(scene) is True
    assert compile_expression("!value.yes").truth(scene) is False
    assert compile_expression("value").truth(Scene(value=b" false ")) is False
    said = [
        ("value.text", "`${value.text}` is text, not a boolean; compare it with something"),
        ("value.nothing", "`${value.nothing}` is null, not a boolean; compare it with something"),
        ("value.items", "`${value.items}` is a list, not a boolean; compare it with something"),
        ("1 + 1", "`${1 + 1}` is a number, not a boolean; compare it with something"),
        ("timestamp(0)", "`${timestamp(0)}` is a timestamp, not a boolean; compare it with something"),
    ]
    for source, message in said:
        with pytest.raises(EvaluationFailed) as caught:
            compile_expression(source).truth(scene)
        assert str(caught.value) == message


def test_an_expression_is_compiled_once() -> None:
    assert compile_expression("value.a + 1") is compile_expression("value.a + 1")
    assert compile_expression("value.a + 1") is not compile_expression("value.a + 1", undo=True)
