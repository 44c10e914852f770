"""examples/orchestrators: a gateway whose functions are another gateway's flows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.examples.project import (
    EXAMPLES,
    SHOWN_FUNCTIONS,
    Example,
    Functions,
    gateway_on,
)

EXAMPLE = "orchestrators"
SHOWN_PAYMENTS = "127.0.0.1:8081"
BOUGHT = {"order": 7, "payment": "p-7", "parcel": "parcel-7"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    folder = tmp_path_factory.mktemp("example") / EXAMPLE
    shutil.copytree(EXAMPLES / EXAMPLE, folder)
    functions = Functions(folder / "functions.py")
    elsewhere = {SHOWN_FUNCTIONS: functions.url}
    try:
        with (
            gateway_on(folder / "payments", elsewhere) as payments,
            gateway_on(folder, {**elsewhere, SHOWN_PAYMENTS: payments.listen}) as shop,
        ):
            yield Example(EXAMPLE, functions, shop)
    finally:
        functions.stop()


def test_readme(example: Example) -> None:
    example.follow_readme()


def test_buy(example: Example, functions: Functions) -> None:
    assert example.result("buy", {"order": 7, "amount": 120}) == BOUGHT
    assert functions.called == ["reserve", "authorise", "capture", "ship"]
    assert functions.sent("authorise") == [{"order": 7, "amount": 120}]


def test_what_goes_along(example: Example, functions: Functions) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    example.run("buy", {"order": 7, "amount": 120}, traceparent=trace, legato_timeout="4")
    outer, inner = functions.calls[0].headers, functions.calls[1].headers
    assert inner["traceparent"].split("-")[1] == outer["traceparent"].split("-")[1] == trace.split("-")[1]
    assert (outer["legato-hops"], inner["legato-hops"]) == ("1", "2")
    assert 0 < float(inner["legato-timeout"]) <= float(outer["legato-timeout"]) <= 4


def test_the_callers_retry_repeats_all_keys(example: Example, functions: Functions) -> None:
    for _ in range(2):
        example.run("buy", {"order": 7, "amount": 120}, idempotency_key="k1")
    keys = [(call.function, call.headers["idempotency-key"]) for call in functions.calls]
    assert keys[:4] == keys[4:]
    assert len(set(keys)) == 4
    functions.calls.clear()
    example.run("buy", {"order": 7, "amount": 120}, idempotency_key="k2")
    assert not {call.headers["idempotency-key"] for call in functions.calls} & {key for _, key in keys}


def test_a_declined_card_is_undone_on_both_levels(example: Example, functions: Functions) -> None:
    said = example.run("buy", {"order": 7, "amount": 1000})
    assert (said.status, said.json()["undone"]) == (402, ["reserve"])
    assert '"detail":"the card was declined"' in said.json()["upstream"]["body"]
    assert functions.called == ["reserve", "authorise", "void", "release"]


def test_what_cannot_be_shipped_is_refunded(example: Example, functions: Functions) -> None:
    functions.hangs_up("ship")
    said = example.run("buy", {"order": 7, "amount": 120})
    assert (said.status, said.json()["undone"]) == (502, ["charge", "reserve"])
    assert functions.called == ["reserve", "authorise", "capture", "ship", "give-back", "release"]
    assert functions.sent("give-back") == [{"payment": "p-7"}]


def test_a_bank_that_is_down(example: Example, functions: Functions) -> None:
    """The inner flow answers 502, so that nobody knows: the keyed call is tried again, then all is undone."""
    functions.answers("authorise", 500)
    said = example.run("buy", {"order": 7, "amount": 120})
    assert said.status == 502
    assert functions.called.count("authorise") == 2
    assert functions.called[-1] == "release"
    keys = {call.headers["idempotency-key"] for call in functions.calls if call.function == "authorise"}
    assert len(keys) == 1
