"""Every table of the lake. The one place a column is declared; everything else is generated.

A table is a pandera model (its columns and structural checks) and a `Table` (its key, partitioning
and storage). The lake's schema, the asset checks, the UI's column descriptions and the docs all
come from here. To add one, declare it in the module of its group: every `Table` of these modules is
in `TABLES`.
"""

from __future__ import annotations

from ytap_assets.tables.base import Column as Column
from ytap_assets.tables.base import Rows as Rows
from ytap_assets.tables.base import Table as Table
from ytap_assets.tables.evidence import *
from ytap_assets.tables.metrics import *
from ytap_assets.tables.production import *
from ytap_assets.tables.reports import *
from ytap_assets.tables.trends import *
from ytap_assets.tables.workspaces import *

TABLES: dict[str, Table] = {
    table.name: table for table in tuple(globals().values()) if isinstance(table, Table)
}
"""Every table by its name, in the order of the modules above."""
