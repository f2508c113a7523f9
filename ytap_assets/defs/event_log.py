"""Dagster's own SQLite event log, but a batch of events is one commit a database, not two an event.

A range of a year and seven assets writes 5,000 events: one by one they took 58 of 82 s. Named in
`dagster.yaml`; batches come where ``DAGSTER_EVENT_BATCH_SIZE`` is set (`launch.prepare_home`).
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import sqlalchemy as sa
from dagster._core.events import DagsterEventType
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy.pool import NullPool

_BUSY_TIMEOUT_S = 60
_TOLD_APART = (
    DagsterEventType.ASSET_MATERIALIZATION,
    DagsterEventType.ASSET_OBSERVATION,
    DagsterEventType.ASSET_CHECK_EVALUATION,
)


def _order(event: EventLogEntry) -> tuple[str, str]:
    made = event.dagster_event
    key = made.asset_key if made else None
    return key.to_user_string() if key else "", (made.partition if made else None) or ""


class BatchedEventLog(SqliteEventLogStorage):
    """Stores what Dagster's log stores, in the same files."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._batch = threading.local()
        self._clock = threading.Lock()
        self._last_ms = 0
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "BatchedEventLog":
        """Create it from `dagster.yaml`."""
        return cls(inst_data=inst_data, **config_value)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store all of them or, where one cannot be, none: Dagster then tries them one by one.

        Dagster hands over the materializations of a range in any order. They are stored in the
        order of their partitions, so that the last day of a range is the latest materialization.
        """
        made = [event.dagster_event for event in events if event.dagster_event]
        if all(event.event_type == DagsterEventType.ASSET_MATERIALIZATION for event in made):
            events = sorted(events, key=_order)
        with ExitStack() as stack:
            self._batch.stack, self._batch.connections = stack, {}
            try:
                super().store_event_batch(events)
            finally:
                del self._batch.stack, self._batch.connections

    def store_event(self, event: EventLogEntry) -> None:
        """Store one event, of a batch or alone.

        No two materializations, observations or check results of a process share a millisecond: the
        UI shows one event of an asset a millisecond, and takes any that share one for the latest.
        """
        kind = event.dagster_event and event.dagster_event.event_type
        if kind in _TOLD_APART:
            with self._clock:
                now = int(event.timestamp * 1000)
                self._last_ms = max(now, self._last_ms + 1)
                if self._last_ms > now:
                    event = event._replace(timestamp=self._last_ms / 1000)
        super().store_event(event)

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
