"""Tables about collection: fetches, stored responses, quarantined rows, and covered days."""

from __future__ import annotations

from typing import Literal, get_args

from ytap_assets.tables.base import Bool, Bytes, Day, Instant, Int, Rows, Table, Text, column

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
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
"""The outcomes of a fetch. ``unrecoverable``: the source can no longer return that day."""
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
HISTORIES = ("date_queryable", "as_of_now", "snapshot_only", "file")
"""What a source returns for past days; ``file`` denotes an import."""
CoverageState = Literal[
    "answered", "imported", "open", "healable", "disabled", "unrecoverable", "not_recorded"
]
COVERAGE_STATES: tuple[CoverageState, ...] = get_args(CoverageState)
"""``answered``: the source responded at least once. ``imported``: files contain rows of that day.
``open``: no response yet, and the day is not over. ``healable``: no response, but the source can
still return that day. ``disabled``: a key is missing. ``unrecoverable``: the day is over, and the
source returns only the present, or the config no longer includes the target. ``not_recorded``: a
replay without a recording for it."""


class CollectionLog(Rows):
    """One row per fetch of a target, imported file or read inbox file, with its outcome.

    Append-only.
    """

    day: Day = column("The UTC date that was requested.")
    collection_id: Text = column(
        "Identifies the fetch; a suffix `-2`, `-3` ... marks a fetch stored again with new rows."
    )
    source: Text = column("The platform; `inbox` for inbox files.")
    target: Text = column(
        "What was requested: a subreddit, a region, a channel, an imported file, an inbox file."
    )
    history: Text = column(
        "What the source returns for past days.",
        isin=HISTORIES,
    )
    outcome: Text = column("The outcome of the fetch.", isin=OUTCOMES)
    detail: Text = column("The error and what to do, or what is incomplete.", null=True)
    http_status: Int = column("The last HTTP status.", null=True)
    attempts: Int = column("Requests sent, retries included.", ge=0)
    started_at: Instant = column("When the fetch began.")
    finished_at: Instant = column("When the fetch ended.")
    fetched: Int = column("Rows received: accepted + quarantined + duplicates.", ge=0)
    accepted: Int = column("Rows stored.", ge=0)
    quarantined: Int = column("Rows that could not be parsed; see quarantined_rows.", ge=0)
    duplicates: Int = column("Rows that were already stored.", ge=0)
    run_id: Text = column("The run that made the fetch.")


class RawPayloads(Rows):
    """One row per response, with the unmodified body for parsing it again. Append-only."""

    day: Day = column("The UTC date that was requested.")
    payload_id: Text = column("Identifies the payload.")
    collection_id: Text = column("The entry of collection_log it belongs to.")
    source: Text = column("The platform.")
    url: Text = column(
        "The requested URL, without secrets; a fragment holds options of the parser."
    )
    http_status: Int = column("The HTTP status.")
    content_type: Text = column("The Content-Type header.", null=True)
    fetched_at: Instant = column("When the response arrived.")
    size_bytes: Int = column("Length of the body as received, decompressed.", ge=0)
    sha256: Text = column("SHA-256 of the body, in hex.")
    is_truncated: Bool = column("Whether the body was cut at the size limit.")
    body: Bytes = column("The body's bytes.")


class QuarantinedRows(Rows):
    """Source rows that could not be parsed, with the reason and the original. Append-only."""

    day: Day = column("The UTC date that was requested.")
    quarantine_id: Text = column("Identifies the row: a hash of its origin, place and text.")
    collection_id: Text = column("The entry of collection_log it belongs to.")
    source: Text = column("The platform.")
    origin: Text = column("The URL or the file it came from.")
    place: Text = column("The position in it: `line 12`, `item 3`.")
    reason: Text = column("Why it could not be parsed.")
    original: Text = column("The row as received. Untrusted input.")
    quarantined_at: Instant = column("When it was quarantined.")


class CollectionCoverage(Rows):
    """One row per day and target of a source: whether the day was collected, or still can be."""

    day: Day = column("The UTC date.")
    source: Text = column("The platform.")
    target: Text = column("A subreddit, a chart, a channel ...; `files` for what was imported.")
    history: Text = column("What the source returns for past days.", isin=HISTORIES)
    state: Text = column("The state of the day for this target.", isin=COVERAGE_STATES)
    outcome: Text = column("The outcome of the last fetch; null if there was none.", null=True)
    detail: Text = column("The error of the last fetch, or what is incomplete.", null=True)
    fetches: Int = column("Number of fetches for the day.", ge=0)
    rows: Int = column("Rows fetched for the day, including rows that were already stored.", ge=0)
    answered_at: Instant = column("When a fetch for the day last succeeded.", null=True)


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
