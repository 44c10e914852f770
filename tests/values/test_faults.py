"""What is wrong with an expression when it is loaded: the words, the remedy, the place."""

from __future__ import annotations

import pytest

from legato.values import ExpressionError, Reference, compile_expression
from tests.values.scene import faults


@pytest.mark.parametrize(
    ("source", "offset", "message", "remedy"),
    [
        ("", 0, "`${}` holds no expression", "write one, or `$${` for a literal `${`"),
        ("  ", 0, "`${}` holds no expression", "write one, or `$${` for a literal `${`"),
        ("value.a = 1", 8, "`=` is not an operator here", "write `==` to compare"),
        ("value.a & true", 8, "`&` is not an operator here", "write `&&`"),
        ("value.a | true", 8, "`|` is not an operator here", "write `||`"),
        ("value.a and value.b", 8, "`and` is not an operator here", "write `&&`"),
        ("value.a or value.b", 8, "`or` is not an operator here", "write `||`"),
        ("not value.a", 0, "`not` is not an operator here", "write `!`"),
        ("value.a is null", 8, "`is` is not an operator here", "write `==`"),
        ("value == None", 9, "`None` is not known", "write `null`"),
        ("value == True", 9, "`True` is not known", "write `true`"),
        ("vlaue.a", 0, "`vlaue` is not known", "did you mean `value`?"),
        ("inpt.a", 0, "`inpt` is not known", "did you mean `input`?"),
        (
            "total > 5",
            0,
            "`total` is not known",
            "write one of input, value, steps, item, index, error, errors, request, run, or 'total' for text",
        ),
        ("sent.a", 0, "`sent` is known in `undo` only", "use it in the `input` of an undo"),
        ("result", 0, "`result` is known in `undo` only", "use it in the `input` of an undo"),
        ("steps", 0, "`steps` alone is no value", "write `steps.name`"),
        ("steps[index]", 5, "which step is meant must be written out", "write `steps.name`"),
        ("steps.map(s, s)", 6, "which step is meant must be written out", "write `steps.name`"),
        ("steps[0]", 0, "which step is meant must be written out", "write `steps.name`"),
        ("steps.check-order.total", 6, "`check-order` reads as a subtraction", "write `steps.check_order`"),
        ("steps.a-b-c", 6, "`a-b-c` reads as a subtraction", "write `steps.a_b_c`"),
        ("value.unit-price > 2", 6, "`unit-price` reads as a subtraction",
         'write `["unit-price"]` instead of `.unit-price`'),
        ("value.items[-1]", 11, "a list has no element before its first",
         "write `value.items[size(value.items) - 1]` to count from the end"),
        ("value.items.0", 11, "`.0` is no field", "write `[0]` for an element of a list"),
        ("value.a.", 8, "the expression ends too early", "it should go on with the name of a field"),
        ("value.a +", 9, "the expression ends too early", "it should go on with a value"),
        ("(value.a", 8, "the expression ends too early", "it should go on with `)` to end the parentheses"),
        ("value.a)", 7, "`)` stands where an operator or the end should be", "check what is before it"),
        ("value.a value.b", 8, "`value` stands where an operator or the end should be", "check what is before it"),
        ("[1 2]", 3, "`2` stands where `,` or `]` should be", "check what is before it"),
        ("{'a' 1}", 5, "`1` stands where `:` and the value of the key should be", "check what is before it"),
        ("true ? 1", 8, "the expression ends too early", "it should go on with `:` and what it is otherwise"),
        ("'a", 0, "text that begins with ' is never closed", "write ' at its end"),
        ('value.a + "x', 10, 'text that begins with " is never closed', 'write " at its end'),
        ("'a\nb'", 0, "text that begins with ' is never closed", "write ' at its end"),
        ("'''a'", 0, "text that begins with ''' is never closed", "write ''' at its end"),
        ("'a' 'b'", 4, "a text stands beside another", "join them with `+`, and check the quotes"),
        ("'it's'", 5, "text that begins with ' is never closed", "write ' at its end"),
        ("'\\d'", 1, "`\\d` is no escape", "write `\\\\` for a backslash, or r'...'"),
        ("'\\UFFFFFFFF'", 1, "`\\UFFFFFFFF` is no escape", "write `\\\\` for a backslash, or r'...'"),
        ("b'\\u0041'", 2, "`\\u0041` is no escape", "write `\\\\` for a backslash, or r'...'"),
        ("'\\ud800'", 0, "text with half a surrogate pair", "write the character itself, or `\\U` and eight digits"),
        ("\u201ca\u201d", 0, "a typographic quotation mark", "write '...' or \"...\" around text"),
        ("`a`", 0, "a backquote is no quotation mark here", "write '...' or \"...\" around text"),
        ("value.a; 1", 7, "`;` is not part of an expression", "remove it: an expression is one value"),
        ("${value}", 0, "`${` within an expression", "remove it: everything in here is an expression already"),
        ("value @ 1", 6, "`@` is not part of an expression", "remove it, or put quotation marks around text"),
        ("value\x00", 5, "the character U+0000 is not part of an expression",
         "remove it, or put quotation marks around text"),
        ("1u", 0, "unsigned integers do not exist in JSON", "write 1"),
        ("2d", 0, "`2d` is neither a number nor a name", "names begin with a letter"),
        ("9223372036854775808", 0, "`9223372036854775808` is beyond 64 bits", "write a smaller integer, or a text"),
        ("-9223372036854775809", 0, "`9223372036854775809` is beyond 64 bits", "write a smaller integer, or a text"),
        ("0xFFFFFFFFFFFFFFFF", 0, "`0xFFFFFFFFFFFFFFFF` is beyond 64 bits", "write a smaller integer, or a text"),
        ("1e999", 0, "`1e999` is beyond what a number can be", "write a smaller one"),
        ("1 < 2 < 3", 6, "comparisons cannot be chained", "write `a < b && b < c`"),
        ("value.?a", 5, "`.?` is not known", "ask first: `has(a.b) ? a.b : null`"),
        ("sise(value)", 0, "there is no function `sise`", "did you mean `size`?"),
        ("value.s.toUpper()", 8, "there is no function `toUpper`", "the reference of expressions lists them all"),
        ("value.s.trimm()", 8, "there is no function `trimm`", "did you mean `trim`?"),
        ("value.items.filtr(x, true)", 12, "there is no function `filtr`", "did you mean `filter`?"),
        ("math.abz(1)", 0, "there is no function `math.abz`", "did you mean `math.abs`?"),
        ("trim(value.s)", 0, "`trim` is written as a method", "write `text.trim()`"),
        ("value.s.int()", 8, "`int` is not written as a method", "write `int(value.x)`"),
        ("value.s.substring()", 8, "`substring` takes other arguments", "write `text.substring(0, 3)`"),
        ("value.s.substring(1, 2, 3)", 8, "`substring` takes other arguments", "write `text.substring(0, 3)`"),
        ("size()", 0, "`size` takes other arguments", "write `size(value.items)`"),
        ("math.least()", 0, "`math.least` takes other arguments", "write `math.least(a, b)`"),
        ("map(value.items, x, x)", 0, "`map` is written as a method", "write `list.map(x, x.name)`"),
        ("value.items.map(x.y, x)", 17, "`.` stands where `,` and what to do with `x` should be",
         "check what is before it"),
        ("value.items.map(1, x)", 16, "`map` begins with a name for the element", "write for example `map(x, x.name)`"),
        ("value.items.map(x)", 12, "`map` takes other arguments", "write for example `map(x, x.name)`"),
        ("value.x.existsOne(x, true, true)", 8, "`existsOne` takes other arguments",
         "write for example `existsOne(x, x.price > 10)`"),
        ("value.x.all(x, true, true)", 8, "`all` takes other arguments", "write for example `all(x, x.price > 10)`"),
        ("value.map(a, a.map(b, b.map(c, c)))", 24, "more than 2 nested comprehensions",
         "use a `foreach` step for the outer ones"),
        ("has(value)", 0, "`has` asks for a field", "write `has(value.name)`, or `value != null`"),
        ("has(1 + 1)", 0, "`has` asks for a field", "write `has(value.name)`, or `value != null`"),
        ("has()", 0, "`has` asks for one field", "write `has(value.name)`"),
        ("has(value.a, value.b)", 0, "`has` asks for one field", "write `has(value.name)`"),
        ("value.s.matches('(?=a)')", 16, "the pattern is not valid",
         "write a smaller one, without lookaround and backreferences"),
        ("value.s.matches(1)", 16, "the pattern is not valid",
         "write a smaller one, without lookaround and backreferences"),
        ("Message{a: 1}", 0, "`Message` is not known",
         "write one of input, value, steps, item, index, error, errors, request, run, or 'Message' for text"),
    ],
)  # fmt: skip
def test_a_fault_says_what_where_and_what_instead(source: str, offset: int, message: str, remedy: str) -> None:
    first = faults(source)[0]
    assert (first.message, first.remedy, first.offset, first.pointer) == (message, remedy, offset, ())


def test_every_unknown_name_is_reported_once() -> None:
    found = faults("vlaue.a + inptu.b > sise(value.c) && vlaue.trimm()")
    assert [(fault.offset, fault.message) for fault in found] == [
        (0, "`vlaue` is not known"),
        (10, "`inptu` is not known"),
        (20, "there is no function `sise`"),
        (37, "`vlaue` is not known"),
        (43, "there is no function `trimm`"),
    ]
    assert len(faults("steps.a-b-c-d + 1")) == 1


def test_the_error_holds_all_of_it() -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression("vlaue + inptu")
    assert (
        str(caught.value)
        == "`vlaue` is not known (did you mean `value`?); `inptu` is not known (did you mean `input`?)"
    )
    assert len(caught.value.faults) == 2


def test_a_hundred_faults_are_enough() -> None:
    assert len(faults(" + ".join(f"x{number}" for number in range(400)))) == 100


def test_undo_sees_what_was_sent_and_what_came_back() -> None:
    assert faults("sent.a == result.b && value.c == 1", undo=True) == []
    assert [fault.remedy for fault in faults("snet.a", undo=True)] == ["did you mean `sent`?"]


def test_what_is_bound_is_no_root() -> None:
    assert faults("value.items.map(total, total.x)") == []
    assert faults("value.items.map(x, y)")[0].message == "`y` is not known"
    assert faults("value.items.map(x, x) + x")[0].message == "`x` is not known"
    assert compile_expression("value.a.map(item, item.b + index)").references == (
        Reference("value", "", 0, ("a",), "value.a"),
        Reference("index", "", 27, (), "index"),
    )


@pytest.mark.parametrize(
    ("source", "references"),
    [
        ("value", [("value", "", 0, (), "value")]),
        ("steps.check_order", [("steps", "check_order", 0, (), "steps.check_order")]),
        ("steps['check-order'].a[0]", [("steps", "check_order", 0, ("a", 0), "steps['check-order'].a[0]")]),
        (" input.a + value['b'][1].c", [
            ("input", "", 1, ("a",), "input.a"), ("value", "", 11, ("b", 1, "c"), "value['b'][1].c")]),
        ("value.items[index].name", [("value", "", 0, ("items",), "value.items"), ("index", "", 12, (), "index")]),
        ("value.s.trim().size()", [("value", "", 0, ("s",), "value.s")]),
        ("has(steps.a.b)", [("steps", "a", 4, ("b",), "steps.a.b")]),
        ("value.a + value.a", [("value", "", 0, ("a",), "value.a"), ("value", "", 10, ("a",), "value.a")]),
        ("1 + 1", []),
        ("value.package.in.true", [("value", "", 0, ("package", "in", "true"), "value.package.in.true")]),
    ],
)  # fmt: skip
def test_references_are_the_static_paths(
    source: str, references: list[tuple[str, str, int, tuple[str | int, ...], str]]
) -> None:
    assert list(compile_expression(source).references) == [Reference(*each) for each in references]
