"""Dagster's own SQLite event log, but a batch of events is one commit a database, not two an event.

A range of a year and seven assets writes 5,000 events: one by one they took 58 of 82 s. Named in
`dagster.yaml`; batches come where ``DAGSTER_EVENT_BATCH_SIZE`` is set (`launch.prepare_home`).
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import sqlalchemy as sa
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy.pool import NullPool

_BUSY_TIMEOUT_S = 60


class BatchedEventLog(SqliteEventLogStorage):
    """Stores what Dagster's log stores, in the same files."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._batch = threading.local()
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "BatchedEventLog":
        """Create it from `dagster.yaml`."""
        return cls(inst_data=inst_data, **config_value)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store all of them or, where one cannot be, none: Dagster then tries them one by one."""
        with ExitStack() as stack:
            self._batch.stack, self._batch.connections = stack, {}
            try:
                super().store_event_batch(events)
            finally:
                del self._batch.stack, self._batch.connections

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        """Within a batch, one connection and transaction a database, until the batch ends."""
        connections: dict[str, sa.Connection] | None = getattr(self._batch, "connections", None)
        if connections is None:
            with super()._connect(shard) as connection:
                yield connection
            return
        if shard not in connections:
            with super()._connect(shard):
                pass  # makes the database where there is none
            connections[shard] = self._open(shard)
        yield connections[shard]

    def _open(self, shard: str) -> sa.Connection:
        engine = sa.create_engine(
            self.conn_string_for_shard(shard),
            poolclass=NullPool,
            connect_args={"timeout": _BUSY_TIMEOUT_S},
        )
        connection: sa.Connection = self._batch.stack.enter_context(engine.connect())
        self._batch.stack.enter_context(connection.begin())
        return connection
