"""What a flow would do: which calls, in which order, within which limits, and how long all of it may take at worst.

From the model and the settings' functions, without a run. `explanation` finds it out, `telling` says it in lines.
"""

from __future__ import annotations

from legato.explain.explanation import Explanation, Warned, explained
from legato.explain.telling import Line, summed_up, told

__all__ = ["Explanation", "Line", "Warned", "explained", "summed_up", "told"]
