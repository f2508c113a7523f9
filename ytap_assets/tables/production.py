"""Tables of the production: the log of events, and the records computed from it."""

from __future__ import annotations

from ytap_assets.tables.base import Float, Instant, Int, Rows, Table, Text, Texts, column

STATES = (
    "script_pending_review",
    "ready_for_generation",
    "video_pending_review",
    "ready_for_publish",
    "published",
    "rejected",
    "cancelled",
)
"""The four production states, then the final states."""

EVENT_TYPES = (
    "script_submitted",
    "script_approved",
    "gates_evaluated",
    "generation_started",
    "job_queued",
    "job_processing",
    "job_completed",
    "job_failed",
    "video_completed",
    "quality_check",
    "video_approved",
    "publication_cleared",
    "published",
    "rejected",
    "sent_back",
    "cancelled",
    "decision_received",
    "imported",
)
"""Events that change a record's state have a ``to_state``; for the others it is null."""


class ProductionEvents(Rows):
    """Everything that happened to every script, in the order of commits. Append-only."""

    event_id: Text = column("ULID or a hash of the evidence; the idempotency key.")
    seq: Int = column("The order of commits over all workspaces.", ge=1)
    script_id: Text = column("The script.", str_length={"min_value": 1, "max_value": 200})
    type: Text = column("What happened.", isin=EVENT_TYPES)
    from_state: Text = column("The state before it; null for a new record.", null=True, isin=STATES)
    to_state: Text = column(
        "The state after it; null if it does not change the state.", null=True, isin=STATES
    )
    actor: Text = column("Who: `person:NAME`, `policy`, `sensor:NAME`, `import`.")
    occurred_at: Instant = column("When it happened.")
    recorded_at: Instant = column("When it was recorded.")
    reason: Text = column("The reason, as text.", null=True)
    payload: Text = column("The evidence, as a JSON object.")
    content_id: Text = column(
        "Identifies a script's content, a video's largest file or a YouTube video, equal in all"
        " workspaces; null if the event has none.",
        null=True,
    )


class ProductionRecords(Rows):
    """One row per script: its current state, computed from production_events."""

    script_id: Text = column("The script.")
    state: Text = column("Current state.", isin=STATES)
    title: Text = column("The script's title. Untrusted input.", null=True)
    hook: Text = column("The script's first line. Untrusted input.", null=True)
    topic_url: Text = column("The page of its topic, if the script names one.", null=True)
    generation_method: Text = column("How its video is made.", null=True)
    # Up to the largest budget of a config; the gate `budget` compares with the workspace's own.
    estimated_cost_usd_micros: Int = column(
        "Estimated cost, in micro-dollars.", null=True, expected=(0, 10**12)
    )
    cost_usd_micros: Int = column(
        "Cost of the last finished version of the video, in micro-dollars, also if it was rejected"
        " or cancelled; earlier versions are not included.",
        null=True,
        expected=(0, 10**12),
    )
    quality_score: Float = column(
        "Quality of the finished video, 0-100.", null=True, expected=(0, 100)
    )
    duration_s: Float = column("Length of the video, in seconds.", null=True, expected=(30, 3600))
    video_id: Text = column("The YouTube id, once published.", null=True)
    channel_id: Text = column("The channel it was published on.", null=True)
    script_approved_by: Text = column("Who approved the script.", null=True)
    video_approved_by: Text = column("Who approved the video.", null=True)
    failed_gates: Texts = column("The gates that are closed, each with the reason.")
    job_status: Text = column("The latest generation job's status.", null=True)
    job_attempts: Int = column("Generation jobs queued so far.", ge=0)
    created_at: Instant = column("When the script was submitted.")
    state_since: Instant = column("When it entered its state.")
    published_at: Instant = column("When it was published.", null=True)
    events: Int = column("How many events it is computed from.", ge=1)
    last_seq: Int = column("The last event's seq.", ge=1)
    fold_version: Int = column(
        "The version of the rules that computed the record; an older one is computed again.",
        default=0,
        ge=0,
    )


class InboxCursors(Rows):
    """How far each inbox file has been read. The next run reads only what follows."""

    file: Text = column("The inbox file.")
    generation: Int = column(
        "Number of times the file was read from its beginning: the first time, and after it was"
        " rotated, truncated or rewritten.",
        ge=0,
    )
    size_bytes: Int = column("Bytes read: all complete lines.", ge=0)
    sha256: Text = column("SHA-256 of what was read, in hex.")
    stamp: Text = column("Device, inode, size and times of the file when it was read.")
    lines: Int = column("Lines read, blank ones included.", ge=0)
    accepted: Int = column("Lines that contained a new script, decision or upload.", ge=0)
    repeated: Int = column("Lines that were equal to an earlier line.", ge=0)
    bad: Int = column("Lines that could not be parsed; see quarantined_rows.", ge=0)
    last_repeated: Texts = column("The numbers of the last repeated lines.")
    last_bad: Texts = column("The last lines that could not be parsed, with the reason.")
    unread_keys: Texts = column("Keys that no rule reads, the first ten. Untrusted input.")
    read_at: Instant = column("When the file was read.")


class InboxLines(Rows):
    """Lines of the inbox files that contained a new script, decision or upload. Append-only."""

    file: Text = column("The inbox file.")
    generation: Int = column("The generation of the file; see inbox_cursors.", ge=1)
    line: Int = column("The line's number in the file.", ge=1)
    script_id: Text = column("The script it is about.")
    digest: Text = column("Hash of the content of a line of scripts.jsonl.", null=True)
    act: Text = column("What was decided.", null=True)
    actor: Text = column("Who decided. The name is not authenticated.", null=True)
    decided_at: Instant = column("When it was decided.", null=True)
    reason: Text = column("The reason, as text. Untrusted input.", null=True)
    video_id: Text = column("The uploaded video's YouTube id.", null=True)
    channel_id: Text = column("The channel it was uploaded to.", null=True)
    published_at: Instant = column("When it was published.", null=True)


PRODUCTION_EVENTS = Table(
    name="production_events",
    model=ProductionEvents,
    key=("workspace_id", "event_id"),
    grain="workspace",
    mode="append",
    group="production",
    sort_by=("seq",),
    sequenced=True,
    cadence_minutes=60,
)
PRODUCTION_RECORDS = Table(
    name="production_records",
    model=ProductionRecords,
    key=("workspace_id", "script_id"),
    grain="workspace",
    mode="derived",
    group="production",
    sort_by=("state", "script_id"),
    cadence_minutes=60,
    about={"channel": (("channel_id",), "continues"), "video": (("video_id",), "stays")},
)
INBOX_CURSORS = Table(
    name="inbox_cursors",
    model=InboxCursors,
    key=("workspace_id", "file"),
    grain="workspace",
    mode="derived",
    group="production",
    sort_by=("file",),
)
INBOX_LINES = Table(
    name="inbox_lines",
    model=InboxLines,
    key=("workspace_id", "file", "generation", "line"),
    grain="workspace",
    mode="append",
    group="production",
    sort_by=("file", "script_id", "line"),
    about={"channel": (("channel_id",), "continues"), "video": (("video_id",), "stays")},
)
