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
    "script_edited",
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

    event_id: Text = column(
        "The id of the event: a ULID, or a hash of its evidence. An event whose id is stored is"
        " not stored again."
    )
    seq: Int = column("The event's number in the order of commits over all workspaces.", ge=1)
    script_id: Text = column("The id of the script.", str_length={"min_value": 1, "max_value": 200})
    type: Text = column("The kind of event.", isin=EVENT_TYPES)
    from_state: Text = column(
        "The script's state before the event; null for a new record.", null=True, isin=STATES
    )
    to_state: Text = column(
        "The script's state after the event; null if the event does not change it.",
        null=True,
        isin=STATES,
    )
    actor: Text = column(
        "Who caused the event: `person:NAME`, `policy`, `sensor:NAME`, `import`. The name of a"
        " person is not authenticated."
    )
    occurred_at: Instant = column(
        "The time of the evidence, such as an approval; if it has none, of the recording."
    )
    recorded_at: Instant = column("When the event was stored.")
    reason: Text = column("The reason for the event, as text. Untrusted input.", null=True)
    payload: Text = column("The evidence of the event, as a JSON object. Untrusted input.")
    content_id: Text = column(
        "Identifies a script's content, a video's largest file or a YouTube video, equal in all"
        " workspaces; null if the event has none.",
        null=True,
    )


class ProductionRecords(Rows):
    """One row per script: its current state, computed from production_events."""

    script_id: Text = column("The id of the script.")
    state: Text = column("The script's current state.", isin=STATES)
    title: Text = column("The script's title. Untrusted input.", null=True)
    hook: Text = column("The script's first line. Untrusted input.", null=True)
    topic_url: Text = column("The page about the script's topic, if the script has one.", null=True)
    generation_method: Text = column(
        "The `generation_method` of the script, such as `animation`.", null=True
    )
    # Up to the largest budget of a config; the gate `budget` compares with the workspace's own.
    estimated_cost_usd_micros: Int = column(
        "The script's estimate of the cost of its video, in micro-dollars.",
        null=True,
        expected=(0, 10**12),
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
    video_id: Text = column("The YouTube id of the published video.", null=True)
    channel_id: Text = column("The id of the channel on which the video was published.", null=True)
    script_approved_by: Text = column(
        "Who approved the script last: `person:NAME` or `policy`.", null=True
    )
    video_approved_by: Text = column(
        "Who approved the video last: `person:NAME` or `policy`.", null=True
    )
    script_approvers: Texts = column(
        "All who approved the script in its present review or the last one, in order.", null=True
    )
    video_approvers: Texts = column(
        "All who approved the video in its present review or the last one, in order.", null=True
    )
    script_quality: Float = column(
        "The `quality` of the script: its generator's own rating.", null=True
    )
    failed_gates: Texts = column("The closed gates of the script, each with the reason.")
    job_status: Text = column(
        "The status of the latest generation job: `queued`, `processing`, `completed` or `failed`;"
        " null without a job.",
        null=True,
    )
    job_attempts: Int = column("Number of generation jobs that were queued.", ge=0)
    created_at: Instant = column("When the script was submitted.")
    state_since: Instant = column("When the script entered its current state.")
    edited_at: Instant = column(
        "When the script was last edited after its submission; null if it was not.", null=True
    )
    published_at: Instant = column("When the video was published.", null=True)
    events: Int = column("Number of events from which the record is computed.", ge=1)
    last_seq: Int = column("The seq of the script's last event.", ge=1)
    fold_version: Int = column(
        "The version of the rules that computed the record; an older one is computed again.",
        default=0,
        ge=0,
    )


class ScriptStates(Rows):
    """One row per script and stay in a state, computed from production_events.

    A stay begins with every event that has a to_state. A script was in the state at an instant t if
    entered_at <= t and left_at is null or after t: its state is that of the event with the highest
    seq among those that had occurred.
    """

    script_id: Text = column("The id of the script.")
    entered_seq: Int = column("The `seq` of the event by which the script entered the state.", ge=1)
    state: Text = column("The state.", isin=STATES)
    visit: Int = column("1 for the script's first stay in this state, 2 for its second.", ge=1)
    entered_at: Instant = column("`occurred_at` of the event by which it entered the state.")
    left_at: Instant = column(
        "`occurred_at` of the event by which it left the state; null if it is still in it.",
        null=True,
    )
    hours: Float = column(
        "Hours between entered_at and left_at; null if it is still in the state.", null=True, ge=0
    )
    entered_by: Text = column("The type of the event by which it entered the state.")
    actor: Text = column("Who caused that event; see production_events.")
    next_state: Text = column(
        "The state that followed; null if it is still in this one.", null=True, isin=STATES
    )


class InboxCursors(Rows):
    """How far each inbox file has been read. The next run reads only what follows."""

    file: Text = column(
        "The inbox file: `scripts.jsonl`, `approvals.jsonl`, `uploads.jsonl` or `jobs.jsonl`."
    )
    generation: Int = column(
        "Number of times the file was read from its beginning: once at first, and again whenever"
        " it was rotated, truncated or rewritten.",
        ge=0,
    )
    size_bytes: Int = column("Number of bytes read: all complete lines.", ge=0)
    sha256: Text = column("SHA-256 of the bytes read, in hex.")
    stamp: Text = column("Device, inode, size and times of the file when it was read.")
    lines: Int = column("Number of lines read, blank ones included.", ge=0)
    accepted: Int = column("Number of lines with a new script, decision, upload or report.", ge=0)
    repeated: Int = column("Number of lines that were equal to an earlier line.", ge=0)
    bad: Int = column("Number of lines that could not be parsed; see quarantined_rows.", ge=0)
    last_repeated: Texts = column("The numbers of the last repeated lines.")
    last_bad: Texts = column("The last lines that could not be parsed, with the reason.")
    unread_keys: Texts = column(
        "The first ten keys of the lines that no rule reads. Untrusted input."
    )
    read_at: Instant = column("When the file was read.")


class InboxLines(Rows):
    """Lines of the inbox files with a new script, decision, upload or report. Append-only."""

    file: Text = column(
        "The inbox file: `scripts.jsonl`, `approvals.jsonl`, `uploads.jsonl` or `jobs.jsonl`."
    )
    generation: Int = column("The generation of the file; see inbox_cursors.", ge=1)
    line: Int = column("The line's number in the file.", ge=1)
    script_id: Text = column("The id of the script in the line.")
    digest: Text = column("In scripts.jsonl, a hash of the line's content.", null=True)
    act: Text = column(
        "In approvals.jsonl, the decision: `approve_script`, `approve_video`, `reject`,"
        " `send_back` or `cancel`.",
        null=True,
    )
    actor: Text = column(
        "In approvals.jsonl, the name of the person who decided. Not authenticated.", null=True
    )
    decided_at: Instant = column("In approvals.jsonl, the time of the decision.", null=True)
    reason: Text = column(
        "In approvals.jsonl, the reason for the decision. Untrusted input.", null=True
    )
    video_id: Text = column("In uploads.jsonl, the YouTube id of the video.", null=True)
    channel_id: Text = column(
        "In uploads.jsonl, the id of the channel to which the video was uploaded.", null=True
    )
    published_at: Instant = column(
        "In uploads.jsonl, when the video is or was published.", null=True
    )
    content: Text = column(
        "In jobs.jsonl, the report as a JSON object. Untrusted input.", null=True
    )


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
    about={"script": (("script_id",), "continues")},
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
    about={
        "script": (("script_id",), "continues"),
        "channel": (("channel_id",), "continues"),
        "video": (("video_id",), "stays"),
    },
)
SCRIPT_STATES = Table(
    name="script_states",
    model=ScriptStates,
    key=("workspace_id", "script_id", "entered_seq"),
    grain="workspace",
    mode="derived",
    group="production",
    sort_by=("entered_at", "script_id"),
    about={"script": (("script_id",), "continues")},
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
    about={
        "script": (("script_id",), "continues"),
        "channel": (("channel_id",), "continues"),
        "video": (("video_id",), "stays"),
    },
)
