"""Lines of a workspace's inbox files that could not be read: into quarantine, once each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from ytap_assets.domain.production.lines import BadLine
from ytap_assets.lakehouse.checks import check_rows
from ytap_assets.lakehouse.reader import Reader
from ytap_assets.operations.inbox_files import InboxFile, read_inboxes
from ytap_assets.operations.platform import Slice
from ytap_assets.tables import COLLECTION_LOG, QUARANTINED_ROWS

SOURCE = "inbox"
_COUNTS = ("accepted", "quarantined", "duplicates")


@dataclass(frozen=True)
class _News:
    """What a file holds that the log does not count yet, and its bad lines that are new."""

    file: InboxFile
    counts: Mapping[str, int]
    bad: tuple[BadLine, ...]

    @property
    def fetched(self) -> int:
        return sum(self.counts.values())

    @property
    def collection_id(self) -> str:
        content = hashlib.sha256(self.file.content).hexdigest()
        return _hash(self.file.name, content, *(_name_line(self.file, line) for line in self.bad))


def store_bad_lines(slice_: Slice, files: Mapping[str, InboxFile]) -> int:
    """Append bad lines to ``quarantined_rows``, and what became of all lines to ``collection_log``.

    A file with bad lines is logged whenever it has grown. Each of its lines counts in one entry
    only, and a bad line is stored once: reading the same again changes nothing.

    Returns:
        How many bad lines the files hold now.
    """
    lines = [(file, file.bad_lines(slice_.now)) for file in files.values()]
    with_bad = [(file, bad) for file, bad in lines if bad]
    count = sum(len(bad) for _, bad in with_bad)
    if not _find_news(slice_.platform.lake.reader(slice_.workspace_id), with_bad):
        return count
    with slice_.platform.lake.write(slice_.run) as transaction:
        # Again, under the lock: another run may have read the same lines meanwhile.
        news = _find_news(transaction.reader(slice_.workspace_id), with_bad)
        logs = [_log(slice_, one) for one in news]
        aside = [row for one in news for row in _rows(slice_, one)]
        for table, rows in ((COLLECTION_LOG, logs), (QUARANTINED_ROWS, aside)):
            transaction.append(check_rows(table, table.frame(rows), slice_.scope))
    return count


def find_new_bad_lines(slice_: Slice) -> list[str]:
    """The ids of bad lines in a workspace's inbox files that are not in quarantine yet."""
    files = read_inboxes(slice_.platform.workspaces.folder(slice_.workspace_id))
    lines = [(file, file.bad_lines(slice_.now)) for file in files.values()]
    reader = slice_.platform.lake.reader(slice_.workspace_id)
    news = _find_news(reader, [(file, bad) for file, bad in lines if bad])
    return [_name_line(one.file, line) for one in news for line in one.bad]


def _find_news(
    reader: Reader, files: Iterable[tuple[InboxFile, tuple[BadLine, ...]]]
) -> list[_News]:
    """What is not stored yet of each file; files without anything new are left out."""
    news = [_compare(reader, file, bad) for file, bad in files]
    return [one for one in news if one.fetched]


def _compare(reader: Reader, file: InboxFile, bad: tuple[BadLine, ...]) -> _News:
    log = reader.read(
        COLLECTION_LOG, columns=_COUNTS, wanted={"source": [SOURCE], "target": [file.name]}
    )
    stored = reader.read(
        QUARANTINED_ROWS,
        columns=["quarantine_id"],
        wanted={"source": [SOURCE], "origin": [file.name]},
    )
    known = set(stored.get_column("quarantine_id"))
    bad = tuple(line for line in bad if _name_line(file, line) not in known)
    counted = log.select(pl.col("accepted", "duplicates").sum()).row(0, named=True)
    # A file is only appended to; where it was cut all the same, nothing is counted twice.
    counts = {
        "accepted": max(0, len(file.parsed.rows) - counted["accepted"]),
        "quarantined": len(bad),
        "duplicates": max(0, file.parsed.duplicates - counted["duplicates"]),
    }
    return _News(file, counts, bad)


def _log(slice_: Slice, news: _News) -> dict[str, Any]:
    lost = len(news.bad)
    return {
        "workspace_id": slice_.workspace_id,
        "day": slice_.now.date(),
        "collection_id": news.collection_id,
        "source": SOURCE,
        "target": news.file.name,
        "history": "file",
        "outcome": "ok",
        "detail": f"{lost} of {news.fetched} new lines could not be read" if lost else None,
        "attempts": 0,
        "started_at": slice_.now,
        "finished_at": slice_.now,
        "fetched": news.fetched,
        **news.counts,
        "run_id": slice_.run.run_id,
    }


def _rows(slice_: Slice, news: _News) -> list[dict[str, Any]]:
    return [
        {
            "workspace_id": slice_.workspace_id,
            "day": slice_.now.date(),
            "quarantine_id": _name_line(news.file, bad),
            "collection_id": news.collection_id,
            "source": SOURCE,
            "origin": news.file.name,
            "place": f"line {bad.line}",
            "reason": bad.reason,
            "original": bad.original,
            "quarantined_at": slice_.now,
        }
        for bad in news.bad
    ]


def _name_line(file: InboxFile, bad: BadLine) -> str:
    return _hash(file.name, str(bad.line), bad.original)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\x00".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]
