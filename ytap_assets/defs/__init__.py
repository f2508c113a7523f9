"""Dagster's face of the operations: assets, checks, sensors, schedules, partitions.

Thin on purpose: load, call, return a frame. No module here postpones its annotations
(`from __future__ import annotations`): Dagster reads them.
"""
