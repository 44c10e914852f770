"""Gateways as the tests of the API have them."""

from tests.admin.conftest import start, start_shared

__all__ = ["start", "start_shared"]
