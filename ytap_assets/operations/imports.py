"""Import recorded trending tables: files into ``raw_trends``, as observations of their day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import polars as pl

from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.batches import Batches
from ytap_assets.operations.platform import Platform
from ytap_assets.sources.files import read_trend_file
from ytap_assets.tables import RAW_TRENDS

_OUTCOME = ("target", "day", "fetched", "accepted", "quarantined", "duplicates")


def import_trends(
    platform: Platform,
    files: Sequence[Path],
    *,
    workspace_id: str,
    source: str,
    run: Run,
    region: str | None = None,
    observed_on: date | None = None,
    progress: Callable[[Path], None] = lambda _: None,
) -> pl.DataFrame:
    """Read files and append their rows; importing a file again changes nothing.

    Args:
        platform: Where to.
        files: What; each of a recognized format.
        workspace_id: Whose observations they become.
        source: The platform the tables speak of.
        run: Who imports.
        region: The region of the lists, where the files do not say.
        observed_on: The day of observation, where the files do not say.
        progress: Called with each file before it is read.

    Returns:
        One row per file: target, day (the last observed), fetched, accepted, quarantined,
        duplicates.

    Raises:
        ImportRefusedError: A file is of no known format; the files before it are stored.
        PublishRefusedError: A file's rows are not of the table's shape; the others are stored.
        ConfigError: There is no such workspace, or ``observed_on`` is still to come.
    """
    if observed_on is not None and observed_on > platform.now().date():
        raise ConfigError(f"{observed_on} has not been yet; nothing was observed on it")
    platform.register(workspace_id, run)
    with Batches(platform, workspace_id, RAW_TRENDS, run) as batches:
        for file in files:
            progress(file)
            fetch = read_trend_file(
                file,
                workspace_id=workspace_id,
                source=source,
                region=region,
                observed_on=observed_on,
                now=platform.now(),
                run_id=run.run_id,
            )
            batches.add(fetch)
    return batches.total().log.select(_OUTCOME)
