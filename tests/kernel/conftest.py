"""So that a transcript that differs is shown as a diff."""

import pytest

pytest.register_assert_rewrite("tests.kernel.transcript")
