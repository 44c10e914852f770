"""Everything Legato raises, by whose fault it is.

What a function or a caller does wrong is data (`model.outcome`), never an exception that escapes: exceptions are
for whoever starts, configures or extends Legato.
"""


class LegatoError(Exception):
    """The root of every error that Legato raises on purpose."""


class DefinitionError(LegatoError):
    """A definition or a setting cannot be used; the message holds every problem with its place and remedy."""


class NotJSON(LegatoError):
    """A payload that must be looked into is not what it declares to be, or cannot be held in JSON."""


class UnknownFlow(LegatoError):
    """No flow has this name."""


class StoreUnavailable(LegatoError):
    """A store cannot be reached or used; the message says which, why, and what to do."""


class NoSuchData(LegatoError, KeyError):
    """Nothing is stored under this key."""

    def __str__(self) -> str:  # KeyError would show it in quotes
        return Exception.__str__(self)


class PayloadLost(LegatoError):
    """A payload that was stored is gone, or is not what was stored; the message says which store and what to do."""


class Conflict(LegatoError):
    """What is stored is not what the writer expected to replace."""


class HostStop(BaseException):
    """The process is told to stop (KeyboardInterrupt, SystemExit) while the kernel ran; the host passes it on."""


class ForeignAwait(LegatoError):
    """A code-first flow awaited what is none of its own steps; the message says what to write instead."""


class StepError(LegatoError):
    """A step that a code-first flow awaited ended without a value.

    `status` is the function's HTTP status, 0 when no answer came; `outcome` one of contract 1; `reason` why the step
    failed; `body` what the function answered, decoded where that is possible.
    """

    def __init__(
        self,
        detail: str,
        *,
        path: str = "",
        function: str = "",
        status: int = 0,
        outcome: str = "",
        reason: str = "",
        body: object = None,
        failure: object = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.path = path
        self.function = function
        self.status = status
        self.outcome = outcome
        self.reason = reason
        self.body = body
        self.failure = failure  # the kernel's own, so that the run fails as by the step itself


class Refused(LegatoError):
    """Raised by a Python function to say a definite no: nothing was done, and trying again would not help."""

    def __init__(self, detail: str, status: int = 422) -> None:
        super().__init__(detail)
        is_refusal = isinstance(status, int) and 400 <= status < 500  # pyright: ignore[reportUnnecessaryIsInstance]
        self.status = status if is_refusal else 422


class ComeAgain(LegatoError):
    """Raised by a Python function that did nothing and asks to be called again, after `delay` seconds if given."""

    def __init__(self, detail: str, delay: float | None = None) -> None:
        super().__init__(detail)
        self.delay = delay
