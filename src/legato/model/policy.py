"""Policies as data, with the pure functions that decide. The host carries them out, once (design 1.7)."""

from __future__ import annotations

import msgspec

from legato.model.outcome import Outcome

LOOP = 508  # RFC 5842, 7.2

MAX_ATTEMPTS = 100  # contract 9: a retry without end is an outage amplifier
IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})  # RFC 9110, 9.2.2


class Retry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How often a call is tried and how long is waited in between. Durations in seconds.

    `attempts` counts the first. `when_status` adds statuses of `unknown` outcomes that are worth another try even
    for a call that is not idempotent, on the user's word.
    """

    attempts: int = 1
    backoff: float = 0.2
    max_backoff: float = 10.0
    when_status: tuple[int, ...] = ()

    def next_delay(self, attempt: int, chance: float, retry_after: float | None) -> float:
        """Seconds to wait after the `attempt`-th attempt (from 1).

        Exponential with full jitter (`chance` in 0..1 comes from the host), never under the function's own
        `Retry-After`, which is in turn bounded by `max_backoff`.
        """
        ceiling = min(self.max_backoff, self.backoff * (2.0 ** min(attempt - 1, MAX_ATTEMPTS)))
        delay = ceiling * chance
        return delay if retry_after is None else max(delay, min(retry_after, self.max_backoff))


class Hedge(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The same attempt started again, `attempts` times in all, `delay` seconds apart; the first good answer counts.

    Only for calls that may be repeated. The losers are aborted.
    """

    delay: float = 0.1
    attempts: int = 2


class Breaker(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When calls of a function are refused unsent: after `failures` in a row within `within` seconds, for `open`.

    Then one call is let through; if it goes well, all are (Nygard, Release It!, 5.2).
    """

    failures: int = 5
    within: float = 60.0
    open: float = 10.0


NO_RETRY = Retry()
UNDO_RETRY = Retry(attempts=10)


def worth_another_try(outcome: Outcome, retry: Retry, idempotent: bool, undo: bool) -> bool:
    """Whether the outcome allows another attempt, attempts being left (contract 1).

    An undo call counts every outcome but `refused` as worth another try; it must get through. A loop through gateways
    (508) is as long the next time, and trying again at each of its turns would multiply it.
    """
    if outcome.status == LOOP:
        return False
    if outcome.kind == "retryable":
        return True
    if outcome.kind == "unknown":
        return idempotent or undo or outcome.status in retry.when_status
    return False
