"""A Dagster instance that forgets, and one whose storage is in a database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from ytap_assets.operations.platform import Platform
from ytap_assets_tests.databases import Server
from ytap_assets_tests.defs.clusters import Cluster, place_cluster


@pytest.fixture
def instance(platform: Platform) -> Iterator[dg.DagsterInstance]:
    """An instance in memory that knows the workspaces."""
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("workspace", platform.workspaces.ids())
        yield instance


@pytest.fixture(scope="session")
def empty_storage(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with the empty tables of Dagster's storage; copied, never opened again."""
    url = server.url()
    cluster = place_cluster(tmp_path_factory.mktemp("storage") / "home", url, "memory://")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cluster.environment.items():
            patch.setenv(name, value)
        cluster.open().dispose()
    return url


@pytest.fixture
def cluster(
    server: Server, empty_storage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cluster]:
    """A deployment without a broker; its variables are set."""
    url = server.url(template=empty_storage)
    cluster = place_cluster(tmp_path / "cluster_home", url, "memory://")
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    yield cluster
    server.drop(url)
