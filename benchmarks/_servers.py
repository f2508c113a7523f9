"""Places for lakes of each kind: catalogs in SQLite or PostgreSQL, files in a folder or in S3.

The databases are created for the benchmark on the server of the tests (`YTAP_TEST_POSTGRES`), and
dropped at the end. S3 is a server of the benchmark's own, moto, which imitates it in one process of
Python.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

# The tests' package, which runs the servers, is not installed.
sys.path.insert(0, str(Path(__file__).parents[1]))

from ytap_assets_tests.databases import find_server, run_s3

LOCAL, SHARED, REMOTE = "SQLite, folder", "PostgreSQL, folder", "PostgreSQL, S3"
Place = Callable[[], dict[str, str]]
"""Makes a new place for a lake, as variables; none of a lake in the data folder."""
_numbers = itertools.count(1)


@contextmanager
def find_places() -> Iterator[dict[str, Place]]:
    """The kinds of places there are, by name; says which are missing, and why."""
    places: dict[str, Place] = {LOCAL: dict}
    with ExitStack() as running:
        try:
            server = running.enter_context(find_server())
        except pytest.skip.Exception as reason:
            print(f"skipped, {SHARED} and {REMOTE}: {reason}", file=sys.stderr)
            yield places
            return
        bucket = running.enter_context(run_s3())
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            os.environ[name] = "benchmark"

        def share() -> dict[str, str]:
            return {"YTAP_CATALOG": server.url()}

        def send() -> dict[str, str]:
            url, _, query = bucket.partition("?")
            return {**share(), "YTAP_DATA_PATH": f"{url}/{next(_numbers)}?{query}"}

        yield {**places, SHARED: share, REMOTE: send}
