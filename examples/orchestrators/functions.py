"""What both teams call: the shop's functions, then those of payments."""

from __future__ import annotations

from typing import Any

Message = dict[str, Any]


def reserve(order: Message) -> Message:
    """Take it from the shelf."""
    return {"amount": order["amount"]}


def release(undone: Message) -> None:
    """Put it back."""


def ship(order: Message) -> Message:
    """Send it."""
    return {"parcel": f"parcel-{order['order']}"}


def authorise(charge: Message) -> Message:
    """Ask the bank: it grants what is below 1000."""
    return {"granted": charge["amount"] < 1000, "authorisation": f"a-{charge['order']}"}


def void(undone: Message) -> None:
    """Tell the bank that nothing came of it."""


def capture(granted: Message) -> Message:
    """Take the money."""
    return {"payment": granted["authorisation"].replace("a-", "p-")}


def give_back(payment: Message) -> Message:
    """Give the money back."""
    return {"refunded": payment["payment"]}
