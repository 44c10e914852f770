"""What the demo shows: requests, and what must come back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from demo.functions import BUSY, DECLINED

# A user of the demo may read them, nobody else can reach it.
TOKEN = "demo-token"
ADMIN_TOKEN = "demo-admin-token"


@dataclass(frozen=True)
class Scene:
    """One request. `answer` holds the members that the answer must have, or the whole answer if `whole`.

    `calls` are the functions that must be called, in the order in which they begin; `together` says that all of them
    must run at the same time.
    """

    title: str
    flow: str
    body: str
    status: int
    answer: dict[str, Any]
    calls: tuple[str, ...] = ()
    together: bool = False
    whole: bool = True
    token: str = TOKEN


@dataclass(frozen=True)
class Command:
    """A command line to the gateway that serves. `shows` is a pattern that what it prints must hold."""

    title: str
    arguments: tuple[str, ...]
    shows: str = ""


ORDER = {"orderId": 123, "total": 120, "payment": "p-123", "email": "sent"}
USER = {
    "get-profile": {"name": "Alice", "email": "alice@example.com"},
    "get-preferences": {"theme": "dark", "lang": "en"},
    "get-history": [{"action": "login", "ts": "2025-01-01"}],
}
ORDER_CALLS = ("validate-order", "charge-payment", "send-email")
USER_CALLS = ("get-profile", "get-preferences", "get-history")
DECLINE = '{"error": "the card was declined"}'

NATIVE = (
    Scene(
        title="Three functions in sequence: each gets the answer of the one before.",
        flow="process-order",
        body='{"orderId": 123}',
        status=200,
        answer=ORDER,
        calls=ORDER_CALLS,
    ),
    Scene(
        title="Three functions in parallel: each gets the request, the answers become one object.",
        flow="enrich-user",
        body='{"userId": 456}',
        status=200,
        answer=USER,
        calls=USER_CALLS,
        together=True,
    ),
    Scene(
        title="A function says `come again` (503): it is called again, under the same Idempotency-Key.",
        flow="process-order",
        body=f'{{"orderId": {BUSY}}}',
        status=200,
        answer={"orderId": BUSY, "total": 120, "payment": f"p-{BUSY}", "email": "sent"},
        calls=(*ORDER_CALLS, "send-email"),
    ),
    Scene(
        title="A step fails for good (402, the card is declined): what was reserved is released again.",
        flow="process-order",
        body=f'{{"orderId": {DECLINED}}}',
        status=502,
        answer={
            "title": "Bad Gateway",
            "step": "charge-payment",
            "upstream": {"status": 402, "body": DECLINE},
            "undone": ["validate-order"],
        },
        calls=("validate-order", "charge-payment", "release-order"),
        whole=False,
    ),
    Scene(
        title="A wrong token.",
        flow="process-order",
        body='{"orderId": 123}',
        status=401,
        answer={"title": "Unauthorized"},
        whole=False,
        token="wrong",
    ),
)

FNKIT = (
    Scene(
        title="The sequential pipeline: the last step's status and body.",
        flow="process-order",
        body='{"orderId": 123}',
        status=200,
        answer=ORDER,
        calls=ORDER_CALLS,
    ),
    Scene(
        title="The parallel pipeline: the results by step.",
        flow="enrich-user",
        body='{"userId": 456}',
        status=200,
        answer=USER,
        calls=USER_CALLS,
        together=True,
    ),
    Scene(
        title="A step fails: its own status, with fnkit's body.",
        flow="process-order",
        body=f'{{"orderId": {DECLINED}}}',
        status=402,
        answer={"error": "Step failed", "step": "charge-payment", "status": 402, "body": DECLINE},
        calls=("validate-order", "charge-payment"),
    ),
)

LIVE: tuple[Scene | Command, ...] = (
    Command(
        title="A pipeline is defined while the gateway serves.",
        arguments=("add", "quick-order", "--steps", "validate-order,charge-payment"),
        shows="^quick-order is defined: validate-order, charge-payment$",
    ),
    Scene(
        title="It is served at once.",
        flow="quick-order",
        body='{"orderId": 123}',
        status=200,
        answer={"orderId": 123, "total": 120, "payment": "p-123"},
        calls=("validate-order", "charge-payment"),
    ),
    Command(
        title="It is defined anew.",
        arguments=("add", "quick-order", "--steps", "validate-order,charge-payment,send-email"),
        shows="^quick-order is defined: validate-order, charge-payment, send-email$",
    ),
    Scene(
        title="The new one is served.",
        flow="quick-order",
        body='{"orderId": 123}',
        status=200,
        answer=ORDER,
        calls=ORDER_CALLS,
    ),
    Command(
        title="What the two runs did, with the milliseconds of each step.",
        arguments=("runs", "ls", "--inline", "--flow", "quick-order"),
        shows=r" succeeded .* validate-order \S+, charge-payment \S+, send-email \S+\n"
        r".* succeeded .* validate-order \S+, charge-payment \S+$",
    ),
    Command(title="It is deleted.", arguments=("rm", "quick-order")),
    Scene(
        title="And gone: the answer names those there are.",
        flow="quick-order",
        body='{"orderId": 123}',
        status=404,
        answer={"detail": "there is no flow 'quick-order'", "flows": ["enrich-user", "process-order"]},
        whole=False,
    ),
)
