"""A Dagster instance that forgets."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

from ytap_assets.operations.platform import Platform


@pytest.fixture
def instance(platform: Platform) -> Iterator[dg.DagsterInstance]:
    """An instance in memory that knows the workspaces."""
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("workspace", platform.workspaces.ids())
        yield instance
