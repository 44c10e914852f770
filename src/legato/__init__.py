"""Legato composes HTTP functions into flows behind one endpoint.

What Python programs use is here, and is imported when it is first asked for: a gateway that serves files needs none of
it. The types are in the stub beside this file.
"""

from importlib import import_module

__version__ = "0.1.0"

_PLACES = {
    "ComeAgain": "legato.errors",
    "Context": "legato.builder.context",
    "DefinitionError": "legato.errors",
    "Flow": "legato.builder",
    "ForeignAwait": "legato.errors",
    "Graph": "legato.builder",
    "LegatoError": "legato.errors",
    "Payload": "legato.model.payload",
    "Refused": "legato.errors",
    "RunFailed": "legato.inprocess",
    "StepError": "legato.errors",
    "Steps": "legato.builder",
    "asgi": "legato.mount",
    "flow": "legato.builder",
    "run": "legato.inprocess",
    "run_sync": "legato.inprocess",
}

__all__ = ["__version__"]
__all__ += list(_PLACES)  # pyright: ignore[reportUnsupportedDunderAll] - what is exported is in the stub


def __getattr__(name: str) -> object:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module 'legato' has no attribute {name!r}; it has {', '.join(_PLACES)}")
    value = globals()[name] = getattr(import_module(place), name)
    return value


def __dir__() -> list[str]:
    return [*globals(), *_PLACES]
