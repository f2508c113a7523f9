"""Dagster with its storage in a database and its runs on workers, as `deploy/cluster` has it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

CONFIG = Path(__file__).parents[2] / "deploy" / "cluster" / "dagster.yaml"


@dataclass(frozen=True)
class Cluster:
    """A deployment.

    Attributes:
        home: DAGSTER_HOME.
        url: The database of Dagster's storage.
        environment: The variables that `dagster.yaml` refers to.
    """

    home: Path
    url: str
    environment: dict[str, str]

    def open(self) -> dg.DagsterInstance:
        """The instance; the variables have to be set."""
        return dg.DagsterInstance.from_config(str(self.home))


def place_cluster(home: Path, url: str, broker: str) -> Cluster:
    """Write `dagster.yaml`; nothing is connected.

    Args:
        home: A folder for DAGSTER_HOME.
        url: An empty database for the storage.
        broker: The broker's URL.
    """
    home.mkdir()
    shutil.copy(CONFIG, home)
    environment = {
        "DAGSTER_HOME": str(home),
        "DAGSTER_STORAGE_URL": url.replace("postgresql://", "postgresql+psycopg2://").split("?")[0],
        "DAGSTER_BROKER_URL": broker,
    }
    return Cluster(home, url, environment)
