"""Programs that some tests need and that no Python package brings."""

from __future__ import annotations

import os
import shutil

import pytest

MUST_RUN = "LEGATO_SKIP_NOTHING"  # set where everything has been installed, so that nothing is passed over unseen


def needed(program: str) -> str:
    """The path of a program; skips the test where it is absent."""
    path = shutil.which(program)
    if path is None:
        reason = f"{program} is not installed"
        if os.environ.get(MUST_RUN):
            pytest.fail(reason)
        pytest.skip(reason)
    return path
