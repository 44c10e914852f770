"""Two who sell things, each of its own kind."""

from __future__ import annotations

from typing import Any

from legato.errors import Refused

Item = dict[str, Any]


def quote_widget(item: Item) -> Item:
    """What widgets cost: they are in stock."""
    return {"sku": item["sku"], "price": 3 * item["quantity"], "days": 1}


def quote_gadget(item: Item) -> Item:
    """What gadgets cost: they are made when they are ordered."""
    if item["quantity"] > 10:
        raise Refused("no more than ten gadgets")
    return {"sku": item["sku"], "price": 20 * item["quantity"], "days": 7}
