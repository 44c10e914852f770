"""What is known of a user, by three functions that know nothing of each other."""

from __future__ import annotations

from typing import Any

from legato.errors import Refused

User = dict[str, Any]


def get_profile(user: User) -> User:
    """Who it is."""
    if user["userId"] != 456:
        raise Refused(f"there is no user {user['userId']}", status=404)
    return {"name": "Alice", "email": "alice@example.com"}


def get_preferences(user: User) -> User:
    """How they like it."""
    return {"theme": "dark", "lang": "en"}


def get_history(user: User) -> list[User]:
    """What they did."""
    return [{"action": "login", "ts": "2025-01-01"}]
