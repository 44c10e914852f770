"""Python code for flows of tests to call."""

from __future__ import annotations

import functools
from typing import Any


def add_vat(order: Any) -> Any:
    return {**order, "total": order["total"] * 2}


def judge(answer: Any) -> Any:
    return answer["body"]


async def later(value: Any) -> Any:
    return value


class Shop:
    @staticmethod
    def price(value: Any) -> Any:
        return value

    def rate(self, value: Any) -> Any:
        return value


def wraps(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(value: Any) -> Any:
        return function(value)

    return wrapper


@wraps
def hidden(value: Any) -> Any:
    return value
