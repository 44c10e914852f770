"""The functions of an order: each gets what the one before it answered."""

from __future__ import annotations

from typing import Any

from legato.errors import ComeAgain, Refused

Order = dict[str, Any]

NO_CREDIT = 402  # the order whose card is declined
BUSY = 503  # the order whose first e-mail is not accepted

_tried: set[int] = set()


def validate_order(order: Order) -> Order:
    """Check the order and reserve what it takes."""
    if "orderId" not in order:
        raise Refused("orderId is missing")
    return {**order, "total": 120}


def release_order(undone: dict[str, Any]) -> Order:
    """Undo validate-order: it is told what that was sent, and what it answered."""
    return {"released": undone["sent"]["orderId"]}


def charge_payment(order: Order) -> Order:
    """Charge the customer."""
    if order["orderId"] == NO_CREDIT:
        raise Refused("the card was declined", status=402)
    return {**order, "payment": f"p-{order['orderId']}"}


def send_email(order: Order) -> tuple[int, Order]:
    """Tell the customer; accepted (202), and sent some time."""
    if order["orderId"] == BUSY and BUSY not in _tried:
        _tried.add(BUSY)
        raise ComeAgain("the mail server is busy")
    return 202, {**order, "email": "accepted"}
