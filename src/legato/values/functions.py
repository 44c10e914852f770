"""Every function of expressions, by name."""

from __future__ import annotations

from legato.values.conversions import CONVERSIONS
from legato.values.lists import LISTS
from legato.values.mathematics import MATHEMATICS
from legato.values.signature import Function
from legato.values.strings import STRINGS

FUNCTIONS: dict[str, Function] = {
    function.name: function for function in (*CONVERSIONS, *STRINGS, *LISTS, *MATHEMATICS)
}
