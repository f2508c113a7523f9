"""Tables about collection: fetches, stored responses, quarantined rows, and covered days."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from ytap_assets.tables.base import (
    WORKSPACE_ID,
    Bool,
    Bytes,
    Day,
    Instant,
    Int,
    Rows,
    Table,
    Text,
    column,
)

Outcome = Literal[
    "ok",
    "not_modified",
    "transient_error",
    "permanent_error",
    "quota_exhausted",
    "malformed",
    "too_large",
    "unrecoverable",
    "not_recorded",
    "disabled",
]
_OUTCOMES: Mapping[Outcome, str] = {
    "ok": "the response was parsed",
    "not_modified": "the stored response is still current",
    "transient_error": "a later attempt may succeed",
    "permanent_error": "further attempts fail until the request, the key or the config changes",
    "quota_exhausted": "the quota is used up until its reset",
    "malformed": "the response or file does not have the expected format",
    "too_large": "the response exceeds the size limit",
    "unrecoverable": "the source cannot return that day",
    "not_recorded": "in a replay, the recordings do not contain the request",
    "disabled": "a required key or setting is missing",
}
OUTCOMES: tuple[Outcome, ...] = tuple(_OUTCOMES)
"""The outcomes of a fetch."""
ANSWERED: tuple[Outcome, ...] = ("ok", "not_modified")
"""The outcomes of a successful fetch."""
REQUEST_FAILED: tuple[Outcome, ...] = (
    "transient_error",
    "permanent_error",
    "malformed",
    "too_large",
)
"""The outcomes of a fetch whose request was sent, and got no response that can be used."""
NO_RESPONSE: tuple[Outcome, ...] = (*REQUEST_FAILED, "quota_exhausted")
"""The outcomes of a fetch that got no usable response, or was not sent because of its quota."""
FAILED: tuple[Outcome, ...] = (*NO_RESPONSE, "not_recorded")
"""The outcomes of a fetch that should have brought rows and did not.

A source that is switched off, or cannot answer for a past day, has not failed.
"""
_HISTORIES = {
    "date_queryable": "the items of that day",
    "as_of_now": "known items with their current counts",
    "snapshot_only": "nothing, only the current list is available",
    "file": "not a source, but an imported file or an inbox file",
}
HISTORIES: tuple[str, ...] = tuple(_HISTORIES)
"""What a source returns for past days; ``file`` denotes an import."""
CoverageState = Literal[
    "answered", "imported", "open", "healable", "disabled", "unrecoverable", "not_recorded"
]
_COVERAGE_STATES: Mapping[CoverageState, str] = {
    "answered": "the source responded at least once",
    "imported": "files contain rows of that day",
    "open": "no response yet, and the day is not over",
    "healable": "no response, but the source can still return that day",
    "disabled": "a key is missing",
    "unrecoverable": "the day is over, and the source returns only the present, or the config no"
    " longer includes the target",
    "not_recorded": "a replay without a recording of that day",
}
COVERAGE_STATES: tuple[CoverageState, ...] = tuple(_COVERAGE_STATES)
"""The states of a day of a target."""


class CollectionLog(Rows):
    """One row per fetch of a target, imported file or read inbox file, with its outcome.

    Append-only.
    """

    day: Day = column(
        "The UTC date that was requested; the last day of the rows of an imported file; the date"
        " on which an inbox file was read."
    )
    collection_id: Text = column(
        "Identifies the fetch; a suffix `-2`, `-3` ... marks a fetch stored again with new rows."
    )
    source: Text = column(
        "The source's name, such as `reddit`; `inbox` for inbox files, `records` for records of"
        " another program, `scripts` for exported scripts."
    )
    target: Text = column(
        "What was requested: a subreddit, a region, a channel, an imported file, an inbox file."
    )
    history: Text = column("What the source returns for past days.", isin=_HISTORIES)
    outcome: Text = column("How the fetch ended.", isin=_OUTCOMES)
    detail: Text = column(
        "The error and what to do, or what is incomplete; null if the fetch is complete.", null=True
    )
    http_status: Int = column("The HTTP status of the last response; null without one.", null=True)
    attempts: Int = column("Number of requests sent, retries included.", ge=0)
    started_at: Instant = column("When the fetch began.")
    finished_at: Instant = column("When the fetch ended.")
    fetched: Int = column("Number of rows received: accepted + quarantined + duplicates.", ge=0)
    accepted: Int = column("Number of rows stored.", ge=0)
    quarantined: Int = column(
        "Number of rows that could not be parsed; see quarantined_rows.", ge=0
    )
    duplicates: Int = column("Number of rows that were already stored.", ge=0)
    run_id: Text = column(
        "The id of the run that made the fetch: a Dagster run, or `cli-...` of a command."
    )


class RawPayloads(Rows):
    """One row per response, with the unmodified body for parsing it again. Append-only."""

    day: Day = column("The UTC date that was requested.")
    payload_id: Text = column("The id of the stored response.")
    collection_id: Text = column("The fetch it belongs to; see collection_log.")
    source: Text = column("The source's name, such as `reddit`.")
    url: Text = column(
        "The requested URL, without secrets; a fragment holds options of the parser."
    )
    http_status: Int = column("The HTTP status of the response.")
    content_type: Text = column("The Content-Type header of the response.", null=True)
    fetched_at: Instant = column("When the response arrived.")
    size_bytes: Int = column("Length of the decompressed body, in bytes.", ge=0)
    sha256: Text = column("SHA-256 of the body, in hex.")
    is_truncated: Bool = column("Whether the body was cut at the size limit.")
    body: Bytes = column("The decompressed body.")


class QuarantinedRows(Rows):
    """Source rows that could not be parsed, with the reason and the original. Append-only."""

    day: Day = column("The day of the fetch, as in collection_log.")
    quarantine_id: Text = column("The id of the row: a hash of its origin, place and text.")
    collection_id: Text = column("The fetch it belongs to; see collection_log.")
    source: Text = column(
        "The source's name, such as `reddit`; `inbox` for inbox files, `records` for records of"
        " another program, `scripts` for exported scripts."
    )
    origin: Text = column("The URL or the file that contained the row.")
    place: Text = column("The row's position in the origin: `line 12`, `item 3`.")
    reason: Text = column("Why the row could not be parsed.")
    original: Text = column("The row as received. Untrusted input.")
    quarantined_at: Instant = column("When the row was quarantined.")


class CollectionCoverage(Rows):
    """One row per day and target of a source: whether the day was collected, or still can be."""

    day: Day = column("The UTC date whose collection is described.")
    source: Text = column("The source's name, such as `reddit`.")
    target: Text = column("A subreddit, a chart, a channel ...; `files` for imported rows.")
    history: Text = column("What the source returns for past days.", isin=_HISTORIES)
    state: Text = column(
        "Whether the day was collected for the target, or still can be.", isin=_COVERAGE_STATES
    )
    outcome: Text = column(
        "How the last fetch ended, as in collection_log; null without a fetch.", null=True
    )
    detail: Text = column("The detail of the last fetch, as in collection_log.", null=True)
    fetches: Int = column("Number of fetches for the day.", ge=0)
    rows: Int = column(
        "Number of rows fetched for the day, including rows that were already stored.", ge=0
    )
    answered_at: Instant = column("When a fetch for the day last succeeded.", null=True)


class Erasures(Rows):
    """What was erased, one row per erasure and table, without its content. Append-only.

    The rows belong to no workspace of the installation: their owner is derived from the hash of the
    erased subject's workspace, so the record of a deleted workspace does not contain its name.
    """

    workspace_id: Text = column(
        "`erased-` and the first digits of a keyed hash of the workspace's name.",
        str_matches=WORKSPACE_ID,
    )
    erasure_id: Text = column("Identifies the erasure; the snapshot's commit names it, too.")
    erased_at: Instant = column("When the rows were erased.")
    actor: Text = column("The name of the person who erased them. Not authenticated.")
    entity: Text = column(
        "What the erased rows were about.",
        isin=("workspace", "script", "video", "source", "channel", "account"),
    )
    subject_hash: Text = column(
        "HMAC-SHA256, with a key of the lake, of the workspace and the name of the entity, in hex."
    )
    uid: Text = column("The uid of the workspace; null if it had none.", null=True)
    table_name: Text = column("The table.")
    rows: Int = column("Number of rows erased from the table.", ge=0)
    snapshot_id: Int = column("The newest snapshot before the erasure, which no longer exists.")
    export_sha256: Text = column(
        "SHA-256 of the manifest of the export made before, in hex; null without one.", null=True
    )


COLLECTION_LOG = Table(
    name="collection_log",
    model=CollectionLog,
    key=("workspace_id", "collection_id"),
    grain="workspace_day",
    mode="append",
    group="evidence",
    sort_by=("day", "source"),
    about={"source": (("source",), "stays"), "channel": (("target",), "stays")},
)
RAW_PAYLOADS = Table(
    name="raw_payloads",
    model=RawPayloads,
    key=("workspace_id", "payload_id"),
    grain="workspace_day",
    mode="append",
    group="evidence",
    sort_by=("day", "source"),
    about={"source": (("source",), "stays")},
)
QUARANTINED_ROWS = Table(
    name="quarantined_rows",
    model=QuarantinedRows,
    key=("workspace_id", "quarantine_id"),
    grain="workspace_day",
    mode="append",
    group="evidence",
    sort_by=("day", "source"),
    about={"source": (("source",), "stays")},
)
COLLECTION_COVERAGE = Table(
    name="collection_coverage",
    model=CollectionCoverage,
    key=("workspace_id", "day", "source", "target"),
    grain="workspace_day",
    mode="derived",
    group="evidence",
    sort_by=("day", "source", "target"),
    about={"source": (("source",), "stays"), "channel": (("target",), "stays")},
)
ERASURES = Table(
    name="erasures",
    model=Erasures,
    key=("workspace_id", "erasure_id", "table_name"),
    grain="workspace",
    mode="append",
    group="evidence",
    sort_by=("erased_at", "table_name"),
)
