"""The Dagster assets, checks, sensors, schedules and partitions. They call the operations.

No module here postpones its annotations (`from __future__ import annotations`): Dagster reads them.
"""
