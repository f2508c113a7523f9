"""The rules: pure functions on Polars frames and small dataclasses.

Belongs here: every formula and decision of the product. Does not belong here: Dagster, DuckDB,
HTTP, files, the clock (``now`` is passed in).
"""
