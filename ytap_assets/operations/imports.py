"""Import recorded trending tables: files into ``raw_trends``, as observations of their day."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path

import polars as pl

from ytap_assets.domain.plausibility import SKEW
from ytap_assets.errors import ConfigError, ImportRefusedError, YtapError
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.store import Batches, Stored
from ytap_assets.sources.importing import check_region, describe_reasons, read_trend_file
from ytap_assets.tables import RAW_TRENDS

_OUTCOME = ("target", "first_day", "day", "fetched", "accepted", "quarantined", "duplicates")


class ImportFailedError(YtapError):
    """Nothing was imported from some files; the rows of the others are stored.

    Attributes:
        outcome: What became of the files that were read, as `import_trends` returns it.
        problems: A line for each file of which nothing was imported: its name, and why.
        only_refused: Whether all of these were refused before anything of them was stored.
    """

    def __init__(self, outcome: pl.DataFrame, problems: Sequence[str], *, only_refused: bool):
        """Take what was imported and what was not."""
        super().__init__("; ".join(problems))
        self.outcome = outcome
        self.problems = tuple(problems)
        self.only_refused = only_refused


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
    warn: Callable[[str], None] = lambda _: None,
) -> pl.DataFrame:
    """Read files and append their rows; importing a file again changes nothing.

    Args:
        platform: Where to.
        files: What; each of a recognized format.
        workspace_id: Whose observations they become.
        source: The platform the tables are about.
        run: Who imports.
        region: The region of the lists, if the files do not contain it.
        observed_on: The day of observation, if the files do not contain it.
        progress: Called with each file before it is read.
        warn: Called with what a person should know about a file that is imported all the same.

    Returns:
        One row per file: target, first_day (of its rows that are new, null if none is), day (the
        last observed), fetched, accepted, quarantined, duplicates. A file whose rows are all there
        already is a success.

    Raises:
        ImportFailedError: Files were refused, or nothing of them was accepted: no row could be
            read, or there is none. All other files are stored, and the rows that could not be
            read are in ``quarantined_rows``.
        PublishRefusedError: A file's rows are not of the table's shape; the others are stored.
        ImportRefusedError: ``region`` is invalid.
        ConfigError: There is no such workspace, it is archived, or ``observed_on`` is still to
            come.
    """
    check_region(region)
    if observed_on is not None and observed_on > platform.now().date():
        raise ConfigError(f"{observed_on} has not been yet; nothing was observed on it")
    platform.workspaces.get_open(workspace_id)
    platform.register(workspace_id, run)
    refused: list[str] = []
    reasons: dict[str, str] = {}
    with Batches(platform, RAW_TRENDS, run) as batches:
        for file in files:
            progress(file)
            try:
                fetch = read_trend_file(
                    file,
                    workspace_id=workspace_id,
                    source=source,
                    region=region,
                    observed_on=observed_on,
                    now=platform.now(),
                    run_id=run.run_id,
                )
            except ImportRefusedError as error:
                refused.append(str(error))
                continue
            ahead = fetch.rows.filter(pl.col("observed_at") > platform.now() + SKEW)
            if not ahead.is_empty():
                warn(
                    f"{fetch.log['target']}: {ahead.height} rows are dated after the present, up to"
                    f" {ahead.select(pl.col('day').max()).item()}: check the year and the order of"
                    " day and month"
                )
            if fetch.rows.is_empty():
                reasons[fetch.log["collection_id"]] = describe_reasons(fetch.quarantined)
            batches.add(fetch)
            batches.commit_if_large()
    stored = batches.total(workspace_id)
    if not isinstance(stored, Stored):
        raise stored
    days = stored.frame.group_by("collection_id").agg(first_day=pl.col("day").min())
    log = stored.log.join(days, on="collection_id", how="left", maintain_order="left")
    failed = _describe_failures(log, reasons)
    if refused or failed:
        raise ImportFailedError(log.select(_OUTCOME), [*refused, *failed], only_refused=not failed)
    return log.select(_OUTCOME)


def _describe_failures(log: pl.DataFrame, reasons: Mapping[str, str]) -> list[str]:
    """A line for each file of which no row is in the lake."""
    nothing = log.filter((pl.col("accepted") == 0) & (pl.col("duplicates") == 0))
    broken = "its rows break the structure of raw_trends"
    kept = {True: "; the rows are kept in quarantined_rows", False: ""}
    return [
        f"{row['target']}: nothing was imported: {reasons.get(row['collection_id'], broken)}"
        f"{kept[row['quarantined'] > 0]}"
        for row in nothing.iter_rows(named=True)
    ]
