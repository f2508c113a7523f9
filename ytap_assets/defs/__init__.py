"""The Dagster assets, checks, sensors, schedules and partitions. They call the operations.

- ``assets``        the assets, the stages and the jobs
- ``table_assets``  how a table's declaration becomes an asset, and what a run of a stage does
- ``partitions``    workspaces and days
- ``checks``        the checks of a table
- ``run_events``    what a run reports to Dagster
- ``event_log``     Dagster's event log, stored in batches; every process of Dagster imports it, so
  it imports no other module of this package
- ``runs``          what runs are requested for, tried again or marked as dead
- ``automation``    schedules and sensors
- ``launch``        runs from the command line
- ``build``         the code location

No module here postpones its annotations (`from __future__ import annotations`): Dagster reads them.
"""
