"""`@flow`: what becomes of a function, and what cannot be a flow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from legato import Context, DefinitionError, asgi, flow, run_sync
from legato.builder import CodeFlow
from legato.model.flow import Flow as Model
from tests.python.test_mount import ask


@flow
async def place_order(ctx: Context, order: Any) -> Any:
    """Place an order.

    In all the ways there are.
    """
    return order


def test_what_a_function_becomes() -> None:
    assert isinstance(place_order, CodeFlow)
    assert place_order.model == Model(
        name="place-order", description="Place an order.", code="tests.python.test_code_flow:place_order"
    )
    definition = place_order.definition("shop.flows")
    assert (definition.name, definition.origin, definition.flow) == ("place-order", "shop.flows", place_order.model)
    assert definition.code.keys() == {place_order.model.code}
    assert place_order.definition().origin.endswith("test_code_flow.py")
    assert repr(place_order) == "CodeFlow('place-order')"
    assert place_order.__doc__ is not None


def test_what_it_may_say() -> None:
    @flow(
        name="x",
        version=3,
        description="d",
        timeout="5s",
        answer_within=2,
        input={"type": "object"},
        on_disconnect="finish",
    )
    async def said(ctx: Context) -> None: ...

    assert said.model == Model(
        name="x",
        description="d",
        timeout=5.0,
        answer_within=2.0,
        input={"type": "object"},
        on_disconnect="finish",
        code="code.x:flow@3",
    )


def test_another_version_is_another_flow() -> None:
    def made(version: int | None) -> str:
        @flow(name="x", version=version)
        async def code(ctx: Context) -> None: ...

        return code.version

    assert len({made(None), made(1), made(2)}) == 3
    assert made(1) == made(1)


async def nothing(ctx: Context) -> None: ...


async def too_many(ctx: Context, first: Any, second: Any) -> None: ...


async def none_at_all() -> None: ...


def not_async(ctx: Context) -> None: ...


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: flow(not_async), "flow not-async: not_async cannot wait for its steps (write it as `async def`)"),
        (lambda: flow(too_many), "flow too-many: its code is given a context and a value"),
        (lambda: flow(none_at_all), "flow none-at-all: its code is given a context and a value"),
        (lambda: flow(name="A")(nothing), "flow A: 'A' is not a name"),
        (lambda: flow(name="api")(nothing), "flow api: the name 'api' is reserved"),
        (lambda: flow(timeout="5")(nothing), "flow nothing: `timeout` is not a duration: `5`"),
        (lambda: flow(input={"type": 3})(nothing), "flow nothing: "),
        (lambda: flow(durable=True)(nothing), "flow nothing: a durable flow of code states its version"),
        (lambda: flow(on_disconnect="stay")(nothing), "flow nothing: `on_disconnect` cannot be `stay`"),
    ],
)
def test_what_cannot_be_a_flow(make: Callable[[], object], message: str) -> None:
    with pytest.raises(DefinitionError) as refusal:
        make()
    assert message in str(refusal.value)


def test_its_input_is_checked_before_it_begins() -> None:
    begun: list[Any] = []

    @flow(input={"type": "object", "required": ["id"]})
    async def checked(ctx: Context, value: Any) -> Any:
        begun.append(value)
        return ctx.request["query"]

    async def main() -> None:
        app = asgi(checked)
        refused = await ask(app, "/checked", b"{}")
        assert (refused.status, refused.json["errors"][0]["detail"]) == (422, '"id" is a required property')
        answer = await ask(app, "/checked?a=1", b'{"id": 1}')
        assert (answer.status, answer.json) == (200, {"a": "1"})

    asyncio.run(main())
    assert begun == [{"id": 1}]


def test_methods_and_wrapped_functions() -> None:
    class Shop:
        async def sell(self, ctx: Context, value: Any) -> Any:
            return [value, await ctx.call("a")]

    assert run_sync(flow(name="sell")(Shop().sell), 1, functions={"a": 2}) == [1, 2]
