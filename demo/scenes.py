"""What the demo shows: requests, and what must come back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from demo.functions import BUSY, DECLINED

TOKEN = "demo-token"  # a user of the demo may read it, nobody else can reach it


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
