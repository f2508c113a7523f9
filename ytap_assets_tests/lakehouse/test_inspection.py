"""Looking at a lake tells what it is made of and leaves it as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.connection import attach
from ytap_assets.lakehouse.errors import LakeError, LakeMissingError
from ytap_assets.lakehouse.inspection import (
    inspect_lake,
    missing_extensions,
)
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.lock import WriteLock
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.settings import Settings
from ytap_assets.tables import RAW_TRENDS, TABLES
from ytap_assets_tests.databases import attach_plainly
from ytap_assets_tests.lakehouse.samples import (
    DAY,
    NOTES,
    SAMPLES,
    SIGHTINGS,
    notes,
    one_day,
    publish,
)

HOLD = """
import sys
from pathlib import Path
from ytap_assets.lakehouse.lock import WriteLock
with WriteLock(Path(sys.argv[1])).hold():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lake_as_declared(settings: Settings) -> None:
    with inspect_lake(settings) as inspection:
        facts = inspection.facts(SAMPLES)
    assert facts.pending == ()
    assert facts.conflict is None
    assert facts.snapshots >= 1
    assert facts.format_version[0].isdigit()


def test_what_is_not_there_yet_is_pending(settings: Settings) -> None:
    with inspect_lake(settings) as inspection:
        facts = inspection.facts(TABLES)
        assert any(change.undo == "DROP TABLE lake.raw_trends" for change in facts.pending)
        assert inspection.ages(TABLES.values()) == []


def test_rows_that_no_file_holds_are_counted(settings: Settings) -> None:
    with inspect_lake(settings) as inspection:
        assert inspection.inlined_rows() == {}
    with closing(attach(settings, read_only=False)) as writer:
        writer.execute("CALL lake.set_option('data_inlining_row_limit', 10)")
        writer.execute("USE memory; DETACH lake")
        writer.execute(attach_plainly(settings))
        for item in ("a", "b"):
            writer.execute(
                "INSERT INTO lake.sightings BY NAME SELECT 'tech' AS workspace_id, ? AS item_id",
                [item],
            )
    with inspect_lake(settings) as inspection:
        assert inspection.inlined_rows() == {"sightings": 2}
    with Lake.open(settings, tables=SAMPLES) as lake:
        assert lake.reader("tech").read(SIGHTINGS).height == 2


def test_what_cannot_be_reconciled_is_told(settings: Settings) -> None:
    name, table = next(iter(SAMPLES.items()))
    with Lake.open(settings, tables=SAMPLES) as lake, lake.cursor() as cursor:
        cursor.execute(f"ALTER TABLE lake.{name} ADD COLUMN forgotten BIGINT")
    with inspect_lake(settings) as inspection:
        facts = inspection.facts({name: table})
    assert facts.conflict is not None
    assert "forgotten" in facts.conflict


def test_nothing_to_look_at(empty_settings: Settings) -> None:
    with pytest.raises(LakeMissingError), inspect_lake(empty_settings):
        pass


@pytest.mark.sqlite
def test_a_damaged_catalog_is_told(settings: Settings) -> None:
    settings.catalog.write_bytes(b"not a catalog" * 1_000)
    with pytest.raises(LakeError, match="catalog is damaged"), inspect_lake(settings):
        pass


def test_nobody_holds_the_lock(settings: Settings, empty_settings: Settings) -> None:
    assert WriteLock(empty_settings.catalog).find_holder() is None
    with WriteLock(settings.catalog).hold():
        pass
    assert WriteLock(settings.catalog).find_holder() is None


@pytest.mark.skipif(not Path("/proc/locks").is_file(), reason="only Linux tells who holds a lock")
def test_the_holder_is_named(settings: Settings) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(settings.catalog)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "held\n"
        holder = WriteLock(settings.catalog).find_holder()
        process.stdin.close()
    assert holder is not None
    assert holder.pid == process.pid
    assert holder.program is not None
    assert holder.program.startswith("python")
    assert timedelta(0) <= datetime.now(UTC) - holder.since < timedelta(minutes=10)
    assert WriteLock(settings.catalog).find_holder() is None


def test_extensions_that_are_not_installed() -> None:
    assert missing_extensions(["ducklake", "sqlite_scanner"]) == []
    assert missing_extensions(["ducklake", "no_such"]) == ["no_such"]


def test_ages_by_workspace(tmp_path: Path) -> None:
    settings = Settings.from_env({"YTAP_DATA": str(tmp_path)})
    with Lake.open(settings, tables={"raw_trends": RAW_TRENDS}) as lake:
        for workspace_id, hour in (("finance", 7), ("tech", 9)):
            row = {
                "workspace_id": workspace_id,
                "day": date(2026, 11, 20),
                "source": "hn",
                "item_id": "1",
                "observed_at": datetime(2026, 11, 20, hour, tzinfo=UTC),
                "title": "A story",
                "collection_id": "c1",
            }
            with lake.write(Run("r", "test", "append")) as transaction:
                transaction.append(
                    check_rows(RAW_TRENDS, RAW_TRENDS.frame([row]), Scope(workspace_id))
                )
    with inspect_lake(settings) as inspection:
        ages = inspection.ages([RAW_TRENDS])
        recent = inspection.recent(
            RAW_TRENDS, "observed_at", datetime(2026, 11, 20, 8, tzinfo=UTC), ["workspace_id"]
        )
    assert [(age.workspace_id, age.rows, age.newest_at) for age in ages] == [
        ("finance", 1, datetime(2026, 11, 20, 7, tzinfo=UTC)),
        ("tech", 1, datetime(2026, 11, 20, 9, tzinfo=UTC)),
    ]
    assert recent.get_column("workspace_id").to_list() == ["tech"]


@pytest.mark.folder
def test_a_damaged_file_is_not_blamed_on_the_catalog(settings: Settings) -> None:
    with Lake.open(settings, tables=SAMPLES) as lake:
        publish(lake, NOTES, notes("tech", [DAY], "ab"), one_day("tech"))
    for file in settings.data_path.rglob("*.parquet"):
        file.write_bytes(bytes(file.stat().st_size))
    with (
        pytest.raises(LakeError, match=f"^{settings.data_path}: cannot be read"),
        inspect_lake(settings) as inspection,
    ):
        inspection.recent(NOTES, "day", datetime(2000, 1, 1, tzinfo=UTC), ["note_id"])


@pytest.mark.sqlite
def test_a_damaged_catalog_is_named(settings: Settings) -> None:
    settings.catalog.write_bytes(bytes(5000))
    with (
        pytest.raises(LakeError, match=f"^{settings.catalog}: the catalog is damaged"),
        inspect_lake(settings),
    ):
        pass
