"""What assets of your own may ask for beside the platform: the lake for `dagster-duckdb`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dagster_duckdb import DuckDBResource
from pydantic import Field

from ytap_assets.lakehouse.connection import attach
from ytap_assets.settings import Settings


class LakeDuckDBResource(DuckDBResource):
    """A `DuckDBResource` whose connections have the lake attached read-only.

    For SQL across all workspaces in an asset of your own: ``duckdb.get_connection()``. Writing is
    the lakehouse's: a connection from here refuses it.
    """

    database: str = Field(default=":memory:", description="The lake is attached beside it.")
    data: str = Field(description="The data folder.")
    catalog: str = Field(description="The lake's catalog.")
    data_path: str = Field(description="The folder of the lake's Parquet files.")

    @classmethod
    def of(cls, settings: Settings) -> "LakeDuckDBResource":
        """The resource for an installation."""
        return cls(
            data=str(settings.data),
            catalog=str(settings.catalog),
            data_path=str(settings.data_path),
        )

    @contextmanager
    def get_connection(self) -> Iterator[Any]:
        """A DuckDB connection with the lake as its default database, closed at the end.

        Raises:
            LakeMissingError: There is no lake yet.
        """
        settings = Settings(Path(self.data), Path(self.catalog), Path(self.data_path))
        connection = attach(settings, read_only=True)
        try:
            yield connection
        finally:
            connection.close()
