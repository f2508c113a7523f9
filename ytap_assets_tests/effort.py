"""How many examples a property test tries."""

from __future__ import annotations

import os

_TIMES = int(os.environ.get("YTAP_EXAMPLES_TIMES", "1"))


def examples(usual: int) -> int:
    """The number of examples of a property; `make soak` tries ten times the usual number.

    The examples are others in every run.
    """
    return usual * _TIMES
