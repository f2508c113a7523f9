"""Import recorded trending tables into a fresh lake, and rank and report what they say.

    python scripts/import_real_history.py DATA_FOLDER [--into DATA]

Prints two tables, in the shape `docs/importing.md` shows them: rows in and what became of them, by
family of files; and the backfills over the days the tables cover, each one run per asset.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from time import monotonic

import polars as pl

from ytap_assets.cli.pipeline import quiet_dagster
from ytap_assets.defs.launch import materialize_range
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.imports import import_trends
from ytap_assets.operations.platform import Platform
from ytap_assets.settings import Settings
from ytap_assets.tables import TABLES
from ytap_assets.workspaces import Workspace

Days = tuple[date, date]
COUNTS = ("rows in", "accepted", "quarantined", "duplicates")


@dataclass(frozen=True)
class Family:
    """Files of one kind: what they are, where they lie, whose they become."""

    name: str
    pattern: str
    workspace_id: str
    source: str = "youtube"
    region: str | None = None
    observed_on: date | None = None


FAMILIES = (
    *(
        Family(
            f"daily lists, `{name}`",
            f"youtube_trending_daily/{name}/{name}_*.csv.gz",
            "daily_lists",
        )
        for name in ("default", "gaming", "music", "movies")
    ),
    Family(
        "Kaggle 2017-09, US", "youtube_trending_kaggle/v1_*_US_*.csv.gz", "us_2017", region="US"
    ),
    Family("Hacker News CSVs", "hacker_news/stories_*.csv.gz", "hacker_news", "hn"),
    Family(
        "Algolia, monthly",
        "hacker_news/algolia_stories_monthly/*.json.gz",
        "hacker_news",
        "hn",
    ),
    Family(
        "Algolia, answers of 2014 (`--observed-on 2014-06-20`)",
        "hacker_news/algolia_responses_2014.json",
        "hacker_news",
        "hn",
        observed_on=date(2014, 6, 20),
    ),
)
BACKFILLS: dict[str, Days] = {
    "us_2017": (date(2017, 9, 13), date(2017, 10, 22)),
    "daily_lists": (date(2024, 9, 1), date(2024, 12, 9)),
}
BACKFILLED = ("trend_stories", "scored_trends", "workspace_reports")


def create_workspaces(platform: Platform) -> None:
    """Create the workspaces that the families and backfills name."""
    for workspace_id in dict.fromkeys(family.workspace_id for family in FAMILIES):
        name = workspace_id.replace("_", " ")
        platform.workspaces.save(Workspace(workspace_id=workspace_id, name=name, vertical="news"))


def import_family(platform: Platform, family: Family, files: Sequence[Path]) -> dict[str, object]:
    """Import files of one family; what became of their rows, as a row of the table."""
    began = monotonic()
    outcome = import_trends(
        platform,
        files,
        workspace_id=family.workspace_id,
        source=family.source,
        run=Run("import-history", "script", family.name),
        region=family.region,
        observed_on=family.observed_on,
    )
    totals = outcome.select("fetched", "accepted", "quarantined", "duplicates").sum().row(0)
    return {
        "files": family.name,
        "number": len(files),
        **dict(zip(COUNTS, totals, strict=True)),
        "seconds": round(monotonic() - began, 1),
    }


def backfill(platform: Platform, asset: str, workspace_id: str, days: Days) -> dict[str, object]:
    """Materialize one asset over a range as one run, as a row of the table."""
    before = platform.lake.snapshot_id()
    with quiet_dagster():
        outcomes = materialize_range(platform, asset, workspace_ids=[workspace_id], days=days)
    for one in outcomes:
        if not one.ok:
            raise SystemExit(f"{asset} of {workspace_id}: {one.error}")
    rows = platform.lake.reader(workspace_id).read(TABLES[asset], days=days)
    return {
        "asset": asset,
        "workspace": workspace_id,
        "days": f"{days[0]} to {days[1]} ({(days[1] - days[0]).days + 1})",
        "runs": len(outcomes),
        "snapshots": platform.lake.snapshot_id() - before,
        "rows": rows.height,
        "seconds": round(sum(one.seconds for one in outcomes), 1),
    }


def markdown(rows: Sequence[dict[str, object]]) -> str:
    """Rows as a Markdown table."""
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    for row in rows:
        cells = (f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row.values())
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def total(rows: Sequence[dict[str, object]]) -> dict[str, object]:
    """The last row: the sums."""
    sums = pl.DataFrame(rows).select("number", *COUNTS, "seconds").sum()
    return {"files": "total", **sums.with_columns(pl.col("seconds").round(1)).row(0, named=True)}


def main() -> None:
    """Import, backfill, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("source", type=Path, metavar="DATA_FOLDER", help="the recorded tables")
    parser.add_argument("--into", type=Path, help="the data folder to make; else a temporary one")
    arguments = parser.parse_args()
    into = arguments.into or Path(tempfile.mkdtemp(prefix="ytap-history-"))
    if (into / "lake").exists():
        parser.error(f"{into} holds a lake already; give a folder that does not")
    platform = Platform(Settings.from_env({"YTAP_DATA": str(into)}))
    create_workspaces(platform)
    with closing(platform.lake):
        imported = []
        for family in FAMILIES:
            files = sorted(arguments.source.glob(family.pattern))
            if not files:
                parser.error(f"{arguments.source}: no file {family.pattern}")
            imported.append(import_family(platform, family, files))
        print(markdown([*imported, total(imported)]), flush=True)
        filled = [
            backfill(platform, asset, workspace_id, days)
            for workspace_id, days in BACKFILLS.items()
            for asset in BACKFILLED
        ]
        print(f"\n{markdown(filled)}\n\nThe lake and the reports are in {into}")


if __name__ == "__main__":
    main()
