"""ytap_assets: a Dagster asset graph over a DuckDB lakehouse for automated YouTube channels.

The packages:

- ``domain``      the rules: pure functions on Polars frames. No Dagster, no I/O, no clock.
- ``tables``      every table: columns, key, partitioning. The one place a column is declared.
- ``settings``    the environment's settings.
- ``workspaces``  the workspaces' ``config.yaml``, with its sections in ``workspace_sections``.
- ``sources``     the platforms and file formats: bytes in, typed rows out.
- ``lakehouse``   the only code that opens DuckDB: attach, publish, append, read, maintain.
- ``reports``     templates and charts.
- ``operations``  one function per thing a user can ask for; joins the packages above.
- ``defs``        Dagster assets, checks, sensors and schedules, which call the operations.
- ``cli``         ``ytap``, which calls the same operations.
"""
