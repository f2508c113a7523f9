"""How many examples a property test tries."""

from __future__ import annotations

import os

_TIMES = int(os.environ.get("YTAP_EXAMPLES_TIMES", "1"))
IS_SOAK = _TIMES > 1
"""Whether `make soak` runs: some properties cost many commits an example, and try random ones there
alone."""


def examples(usual: int) -> int:
    """The number of examples of a property; `make soak` tries ten times the usual number.

    The examples are others in every run.
    """
    return usual * _TIMES
