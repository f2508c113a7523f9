"""What decides on scripts: the log, the workspace's files, and what other workspaces have.

Each table is read once for a batch of workspaces, and of it what concerns scripts that may move. Of
the files these are the scripts' video folders, with what their manifests name. No link below the
workspace's folder is followed (`safe_files`): what would be found there may be another workspace's.
Belongs here: reading. Does not belong here: deciding and storing (`production`), the inbox files
(`inboxes`), or whether a video is complete (`domain.production.manifest`).
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl

from ytap_assets.domain.production.events import (
    IN_PRODUCTION,
    READY_FOR_GENERATION,
    READY_FOR_PUBLISH,
    SCRIPT_PENDING_REVIEW,
    TAKEN,
    VIDEO_PENDING_REVIEW,
    Script,
    current_states,
)
from ytap_assets.domain.production.evidence import (
    CONTENT_COLUMNS,
    CONTENT_TYPES,
    Claims,
    Found,
    Production,
    fill_content_ids,
)
from ytap_assets.domain.production.gates import NO_PAGES, PAGE_COLUMNS, TOPIC_COLUMNS
from ytap_assets.domain.production.inbox import Decision, Obstacle, Upload, merge_uploads
from ytap_assets.domain.production.lines import usd_to_micros
from ytap_assets.domain.production.manifest import (
    MANIFEST_NAME,
    FileFact,
    ManifestError,
    VideoFolder,
    parse_manifest,
)
from ytap_assets.domain.production.rules import Rules
from ytap_assets.domain.scoring.ranking import BASELINE_DAYS
from ytap_assets.domain.urls import canonical_urls
from ytap_assets.errors import FileRefusedError
from ytap_assets.lakehouse.reader import CrossReader
from ytap_assets.operations.inbox_files import (
    APPROVALS,
    JOBS,
    SCRIPTS,
    UPLOADS,
    InboxFile,
    find_upload_problems,
)
from ytap_assets.operations.inboxes import (
    collect_lines,
    open_inboxes,
    read_lines_of,
    read_wanted,
)
from ytap_assets.operations.platform import Batch, Slice
from ytap_assets.operations.pushed_files import (
    VIDEOS,
    read_pushed_videos,
    stamp_pushed_videos,
)
from ytap_assets.operations.records import SCRIPT, fold_unfolded, group_scripts, replace_scripts
from ytap_assets.safe_files import open_below, open_folder, read_open
from ytap_assets.tables import (
    INBOX_LINES,
    PRODUCTION_EVENTS,
    PRODUCTION_RECORDS,
    RAW_TRENDS,
    TREND_STORIES,
)
from ytap_assets.workspaces import Workspace

NO_TOPICS = PRODUCTION_RECORDS.empty().select(TOPIC_COLUMNS)
_NO_SCRIPTS = PRODUCTION_RECORDS.empty().select(SCRIPT)
_NO_HOLDERS = (
    PRODUCTION_EVENTS.empty().select(CONTENT_COLUMNS).with_columns(is_older=pl.lit(value=False))
)
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN_DECISIONS = 5
_LONG_TAIL_BYTES = 64 * 1024
_MAX_MANIFEST_BYTES = 1_000_000
_CHUNK_BYTES = 1024 * 1024
_MANY_SCRIPTS = 256


@dataclass(frozen=True)
class IgnoredDecision:
    """A decision in the approvals file that currently has no effect.

    Script ids and names in the text are untrusted input.

    Attributes:
        script_id: The script.
        text: Whose decision, about what, and why it has no effect.
        waits: Whether it will have one when its date has come.
    """

    script_id: str
    text: str
    waits: bool


def _describe_ignored(decision: Decision, obstacle: Obstacle) -> IgnoredDecision:
    return IgnoredDecision(
        decision.script_id,
        f"{decision.script_id}: {decision.action} by {decision.actor} at"
        f" {decision.at.isoformat()}: {obstacle.reason}",
        obstacle.waits,
    )


class ProductionInputs:
    """What decides on the scripts of a batch, at one moment.

    Attributes:
        now: The present.
        inboxes: The inbox files.
        reader: Reads the workspaces.
        production: The scripts that may move, in memory.
        waiting: The scripts that wait for a video, or may in a moment, by workspace.
        stamps: The state of their manifests, by workspace and script.
        last_seqs: The last event of each workspace that is known.
        unfolded: What the stored records do not know yet.
        found: What was found beside the log, by workspace.
        is_preview: Whether nothing will be appended.
    """

    def __init__(self, batch: Batch, *, is_preview: bool = False) -> None:
        """Read what is needed, each table once.

        Args:
            batch: The workspaces.
            is_preview: Whether nothing will be appended (`preview`).
        """
        self.batch = batch
        self.now = batch.now
        self.reader = batch.reader()
        self.is_preview = is_preview
        self.inboxes = open_inboxes(batch.slices, self.reader)
        self._read()

    @cached_property
    def _slices(self) -> list[Slice]:
        """The workspaces whose files could be looked at."""
        return [one for one in self.batch.slices if one.workspace_id in self.inboxes.files]

    def _read(self) -> None:
        self.unfolded = new = fold_unfolded(self.reader)
        self.last_seqs, folded = new.last_seqs, new.records
        stored = self.reader.read(PRODUCTION_RECORDS, wanted={"state": IN_PRODUCTION})
        is_open = pl.col("state").is_in(IN_PRODUCTION)
        open_records = replace_scripts(stored, folded, new.scripts).filter(is_open)
        submitted, asked = self._scripts_of_new_lines()
        unrecorded = _NO_SCRIPTS if self.is_preview else self._find_scripts_without_record()
        about = pl.concat([open_records.select(SCRIPT), submitted, unrecorded]).unique()
        lines = read_lines_of(
            self.reader, set(about["script_id"]), files=(APPROVALS, UPLOADS, JOBS)
        )
        # Not those about another workspace's script of the same name: its record may not be read.
        lines = lines.join(about, on=SCRIPT, how="semi", maintain_order="left")
        self._said = collect_lines(lines, self.inboxes)
        self.waiting = self._find_waiting(open_records)
        self.stamps = self._stamp_videos()
        candidates = self._find_candidates(open_records)
        # All of them: the candidate of that name may be another workspace's.
        others = read_wanted(self.reader, PRODUCTION_RECORDS, "script_id", asked)
        known = pl.concat([rows.select(SCRIPT) for rows in (candidates, folded, others)])
        records = pl.concat([candidates, folded, others]).unique(SCRIPT, keep="first")
        scripts = {*records["script_id"], *asked, *unrecorded["script_id"]}
        events = read_wanted(self.reader, PRODUCTION_EVENTS, "script_id", scripts)
        reviewing = self._find_reviewing(open_records)
        self.production = Production(
            records,
            events,
            self._read_topics(open_records, reviewing),
            self._read_pages(open_records, reviewing),
        )
        self.found = self._find(group_scripts(known), open_records)

    @property
    def _is_in_lake(self) -> bool:
        return self.batch.platform.settings.workspace_source == "lake"

    def _stamp_videos(self) -> dict[str, dict[str, str]]:
        if self._is_in_lake:
            return stamp_pushed_videos(self.reader.read, self.waiting)
        folder = self.batch.platform.workspaces.folder
        return {name: stamp_folders(folder(name), own) for name, own in self.waiting.items()}

    def _read_videos(
        self, incomplete: Mapping[str, Collection[str]]
    ) -> Mapping[str, Mapping[str, VideoFolder]]:
        """The video folders by workspace and script.

        Args:
            incomplete: The scripts whose videos a run found incomplete, by workspace.
        """
        if self._is_in_lake:
            return read_pushed_videos(self.reader.read, self.stamps)
        folders: dict[str, VideoFolders] = {}
        for name, own in self.stamps.items():
            hashed = {
                script_id: not self.is_preview or script_id in incomplete.get(name, ())
                for script_id in own
            }
            folders[name] = VideoFolders(self.batch.platform.workspaces.folder(name), hashed)
        return folders

    def _scripts_of_new_lines(self) -> tuple[pl.DataFrame, set[str]]:
        """The scripts that new lines submit, and the names of all that new lines are about."""
        submitted, decided, reported = (
            {
                (name, row.script_id)
                for name in self.inboxes.files
                for row in self.inboxes.rows(name, file)
            }
            for file in (SCRIPTS, APPROVALS, JOBS)
        )
        return scripts_frame(sorted(submitted)), {
            name for _, name in submitted | decided | reported
        }

    def _find_scripts_without_record(self) -> pl.DataFrame:
        """The scripts without a record that earlier decisions are about."""
        if not any(
            files[APPROVALS].opened.cursor.accepted for files in self.inboxes.files.values()
        ):
            return _NO_SCRIPTS
        return self.reader.read_unmatched(
            INBOX_LINES, PRODUCTION_RECORDS, SCRIPT, wanted={"file": [APPROVALS]}
        )

    def _find_waiting(self, records: pl.DataFrame) -> dict[str, set[str]]:
        """The scripts before `ready_for_publish`, and those of the inbox, by workspace."""
        waiting = group_scripts(records.filter(pl.col("state") != READY_FOR_PUBLISH))
        return {
            name: {*waiting[name], *(row.script_id for row in self.inboxes.rows(name, SCRIPTS))}
            for name in self.inboxes.files
        }

    def _find_candidates(self, records: pl.DataFrame) -> pl.DataFrame:
        """The records that a promotion may change.

        A script that is not in review changes only with a decision, a video folder, an upload, a
        report about a job or a closed gate. Thousands may wait without any of them.
        """
        without_job = group_scripts(records.filter(pl.col("job_status").is_null()))
        named = [
            (workspace_id, script_id)
            for workspace_id in self.inboxes.files
            for script_id in {
                # Reports are applied when they are read, or when the script enters generation.
                *(one.script_id for one in self.inboxes.rows(workspace_id, JOBS)),
                *without_job[workspace_id].intersection(
                    one.script_id for one in self._said.jobs[workspace_id]
                ),
                *(one.script_id for one in self._said.decisions[workspace_id]),
                *(one.script_id for one in self._said.uploads[workspace_id]),
                *self.stamps[workspace_id],
            }
        ]
        marked = scripts_frame(named).with_columns(pl.lit(value=True).alias("_is_named"))
        is_candidate = (
            pl.col("state").is_in([SCRIPT_PENDING_REVIEW, VIDEO_PENDING_REVIEW])
            | (pl.col("failed_gates").list.len() > 0)
            | pl.col("_is_named").fill_null(value=False)
        )
        if any(files[APPROVALS].problem for files in self.inboxes.files.values()):
            is_candidate = pl.lit(value=True)
        joined = records.join(marked, on=SCRIPT, how="left")
        return joined.filter(is_candidate).drop("_is_named")

    def _find_reviewing(self, open_records: pl.DataFrame) -> list[str]:
        """The workspaces in which scripts are in review or will be."""
        in_review = open_records.filter(pl.col("state") == SCRIPT_PENDING_REVIEW)
        submitting = {name for name in self.inboxes.files if self.inboxes.rows(name, SCRIPTS)}
        return sorted({*in_review["workspace_id"], *submitting})

    def _read_topics(self, open_records: pl.DataFrame, reviewing: Sequence[str]) -> pl.DataFrame:
        """The topics of taken scripts of some workspaces."""
        if not reviewing:
            return NO_TOPICS
        reader = self.batch.platform.lake.batch_reader(reviewing)
        stored = reader.read(
            PRODUCTION_RECORDS, columns=list(TOPIC_COLUMNS), wanted={"state": TAKEN}
        )
        own = open_records.select(TOPIC_COLUMNS)
        return pl.concat([own, stored]).unique(SCRIPT, keep="first")

    def _read_pages(self, open_records: pl.DataFrame, reviewing: Sequence[str]) -> pl.DataFrame:
        """The members of the stories that contain a page of a script in review.

        Two reads of `trend_stories`, the second only if there are such stories.
        """
        in_review = open_records.filter(pl.col("state") == SCRIPT_PENDING_REVIEW)
        scripts = [
            *in_review.select("created_at", "topic_url").iter_rows(),
            *(
                (row.created_at, row.payload.get("topic_url"))
                for name in self.inboxes.files
                for row in self.inboxes.rows(name, SCRIPTS)
            ),
        ]
        named = [(created_at, url) for created_at, url in scripts if url]
        urls = canonical_urls(pl.Series([url for _, url in named], dtype=pl.String))
        pages = urls.drop_nulls().unique().sort().to_list()
        if not pages:
            return NO_PAGES
        # A date in the future becomes the present, and a date may be any date.
        first = max(min(self.now, *(created_at for created_at, _ in named)), _EARLIEST)
        days = ((first - timedelta(days=BASELINE_DAYS)).date(), self.now.date())
        reader = self.batch.platform.lake.batch_reader(reviewing)
        story = ["workspace_id", "story_id"]
        stories = reader.read(
            TREND_STORIES, days=days, columns=story, wanted={"canonical_url": pages}
        ).unique()
        if stories.is_empty():
            return NO_PAGES
        ids = stories["story_id"].unique().sort().to_list()
        members = reader.read(
            TREND_STORIES, days=days, columns=PAGE_COLUMNS, wanted={"story_id": ids}
        )
        # A story's id is made of a URL, so another workspace can have the same one.
        return members.join(stories, on=story, how="semi")

    def _find(
        self, known: Mapping[str, Collection[str]], open_records: pl.DataFrame
    ) -> dict[str, Found]:
        """What was found in each workspace beside its log."""
        uploads = {name: merge_uploads(self._said.uploads[name]) for name in self.inboxes.files}
        owners = self._read_owners(uploads)
        seen = self._read_seen(uploads)
        is_incomplete = (
            pl.col("failed_gates").list.eval(pl.element().str.starts_with("manifest")).list.any()
        )
        videos = self._read_videos(group_scripts(open_records.filter(is_incomplete)))
        found: dict[str, Found] = {}
        for one in self._slices:
            name = one.workspace_id
            found[name] = Found(
                rules=workspace_rules(one.workspace),
                submissions=self.inboxes.rows(name, SCRIPTS),
                decisions=self._said.decisions[name],
                decisions_problem=self.inboxes.files[name][APPROVALS].problem,
                folders=videos[name],
                uploads=self._said.uploads[name],
                jobs=self._said.jobs[name],
                seen_videos=seen.get(name, {}),
                owners=owners.get(name, {}),
                known=known.get(name, frozenset()),
            )
        return found

    def _read_owners(
        self, uploads: Mapping[str, Mapping[str, Upload]]
    ) -> dict[str, dict[str, str]]:
        """The recorded scripts of uploaded videos, by workspace and video."""
        videos = {upload.video_id for own in uploads.values() for upload in own.values()}
        rows = read_wanted(
            self.reader,
            PRODUCTION_RECORDS,
            "video_id",
            videos,
            columns=["workspace_id", "video_id", "script_id"],
        )
        owners: dict[str, dict[str, str]] = defaultdict(dict)
        for workspace_id, video_id, script_id in rows.iter_rows():
            owners[workspace_id][video_id] = script_id
        return owners

    def _read_seen(
        self, uploads: Mapping[str, Mapping[str, Upload]]
    ) -> dict[str, dict[str, datetime]]:
        """When undated uploads seen in the workspaces' own channels were published."""
        undated = {
            upload.video_id
            for own in uploads.values()
            for upload in own.values()
            if upload.published_at is None
        }
        rows = read_wanted(
            self.reader,
            RAW_TRENDS,
            "item_id",
            undated,
            columns=["workspace_id", "channel_id", "item_id", "published_at"],
            wanted={"source": ["youtube_channel"]},
        )
        own = {
            (one.workspace_id, channel.id)
            for one in self._slices
            for channel in one.workspace.channels
        }
        seen: dict[str, dict[str, datetime]] = defaultdict(dict)
        for workspace_id, channel_id, item_id, published_at in rows.drop_nulls().iter_rows():
            if (workspace_id, channel_id) in own:
                earlier = seen[workspace_id].get(item_id, published_at)
                seen[workspace_id][item_id] = min(earlier, published_at)
        return seen

    def long_tails(self, workspace_id: str) -> list[str]:
        """Names the inbox files that have grown so much that their cursors should be moved."""
        return [
            f"{name} {file.opened.cursor.size_bytes}"
            for name, file in self.inboxes.files[workspace_id].items()
            if file.opened.lines.ended > _LONG_TAIL_BYTES
        ]

    def describe(self) -> dict[str, dict[str, Any]]:
        """The problems of each workspace's inbox files, for the metadata."""
        ignored = self.production.find_ignored(self.found, self.now)
        uploads = self._find_upload_problems(self.production.records, of_new_lines=True)
        return {
            name: _describe(files, ignored[name], uploads[name], self.now)
            for name, files in self.inboxes.files.items()
        }

    def list_ignored(self, workspace_id: str, records: pl.DataFrame) -> list[IgnoredDecision]:
        """All decisions of an approvals file without effect as things stand, in their order.

        Args:
            workspace_id: The workspace.
            records: All its records.
        """
        lines = self.reader.read(INBOX_LINES, wanted={"file": [APPROVALS]})
        decisions = collect_lines(lines, self.inboxes).decisions[workspace_id]
        rules = self.found[workspace_id].rules
        scripts = {decision.script_id for decision in decisions}
        events = read_wanted(self.reader, PRODUCTION_EVENTS, "script_id", scripts)
        ignored = Production(records, events, NO_TOPICS).find_ignored(
            {workspace_id: Found(rules=rules, decisions=decisions)}, self.now
        )
        return [_describe_ignored(*one) for one in ignored[workspace_id]]

    def list_problems(self, workspace_id: str, records: pl.DataFrame) -> list[str]:
        """What is wrong with a workspace's inbox files; each text begins with a file's name.

        Args:
            workspace_id: The workspace.
            records: All its records.
        """
        texts: list[str] = []
        for name, file in self.inboxes.files[workspace_id].items():
            texts += (*file.find_problems(), *file.describe_lines())
            if file.opened.cursor.bad:  # stored by a run
                query = (
                    f"select place, reason, original from quarantined_rows where origin = '{name}'"
                )
                texts.append(f'{name}: `ytap sql "{query}" -w {workspace_id}` lists them in full')
        return texts + self._find_upload_problems(records, of_new_lines=False)[workspace_id]

    def _find_upload_problems(
        self, records: pl.DataFrame, *, of_new_lines: bool
    ) -> dict[str, list[str]]:
        """Messages about the uploads of all workspaces (`find_upload_problems`).

        Args:
            records: Rows of ``production_records`` that are newer than the stored ones.
            of_new_lines: Whether only the scripts of new lines are examined: all stored lines grow
                with the history.
        """
        rows = INBOX_LINES.empty()
        has_stored = any(
            files[UPLOADS].opened.cursor.accepted for files in self.inboxes.files.values()
        )
        if has_stored and of_new_lines:
            named = {
                row.script_id
                for name in self.inboxes.files
                for row in self.inboxes.rows(name, UPLOADS)
            }
            rows = read_lines_of(self.reader, named, files=(UPLOADS,))
        elif has_stored:
            rows = self.reader.read(INBOX_LINES, wanted={"file": [UPLOADS]})
        uploads = collect_lines(rows, self.inboxes).uploads
        columns = [*SCRIPT, "state"]
        known = set(records.select(SCRIPT).iter_rows())
        unknown = {
            upload.script_id
            for name, own in uploads.items()
            for upload in own
            if (name, upload.script_id) not in known
        }
        stored = read_wanted(self.reader, PRODUCTION_RECORDS, "script_id", unknown, columns=columns)
        states: dict[str, dict[str, str]] = defaultdict(dict)
        for name, script_id, state in pl.concat([stored, records.select(columns)]).iter_rows():
            states[name][script_id] = state
        return {
            one.workspace_id: find_upload_problems(
                uploads[one.workspace_id],
                one.workspace,
                states[one.workspace_id],
                {row.script_id for row in self.inboxes.rows(one.workspace_id, SCRIPTS)},
                self.now,
            )
            for one in self._slices
        }


def _describe(
    files: Mapping[str, InboxFile],
    ignored: Sequence[tuple[Decision, Obstacle]],
    uploads: Sequence[str],
    now: datetime,
) -> dict[str, Any]:
    described = [_describe_ignored(*one) for one in ignored]
    problems = [problem for file in files.values() for problem in file.find_problems()]
    lines = [text for file in files.values() for text in file.describe_lines()]
    notes: dict[str, Any] = {
        "bad_lines": sum(file.count_bad_lines(now) for file in files.values()),
        "ignored_decisions": sum(not one.waits for one in described),
        "waiting_decisions": sum(one.waits for one in described),
    }
    for name, waits in (("ignored_decisions", False), ("waiting_decisions", True)):
        if reasons := [one.text for one in described if one.waits == waits]:
            notes[f"{name}_reasons"] = reasons[:_SHOWN_DECISIONS]
    if problems or uploads:
        notes["inbox_problems"] = [*problems, *uploads]
    if lines:
        notes["inbox_lines"] = lines
    return notes


def scripts_frame(scripts: Sequence[Script]) -> pl.DataFrame:
    """Scripts as a frame: ``workspace_id``, ``script_id``."""
    schema = {"workspace_id": pl.String, "script_id": pl.String}
    return pl.DataFrame(scripts, schema=schema, orient="row")


def read_holders(
    reader: CrossReader, claims: Claims, *, with_older: bool = True
) -> tuple[pl.DataFrame, dict[Script, str]]:
    """Look the scripts' content up in all other workspaces: one read for all of them.

    Args:
        reader: Reads across workspaces.
        claims: Their content.
        with_older: Also compare with scripts of the same name that were appended before events
            named their content: a second read, and a third where there are any.

    Returns:
        What `ContentLog.add_stored` takes: the events of other workspaces that bring the content,
        and the current states of their scripts.
    """
    if not claims:
        return _NO_HOLDERS, {}
    claimants: dict[str, set[str]] = defaultdict(set)
    for (workspace_id, _), own in claims.items():
        for claim in own:
            claimants[claim.content_id].add(workspace_id)
    ids = sorted(claimants)
    found = reader.read_across(
        PRODUCTION_EVENTS, columns=CONTENT_COLUMNS, wanted={"content_id": ids}
    ).with_columns(is_older=pl.lit(value=False))
    if with_older:
        alike = {"script_id": sorted({script_id for _, script_id in claims}), "type": CONTENT_TYPES}
        columns = ["workspace_id", "content_id"]
        unnamed = reader.read_across(PRODUCTION_EVENTS, columns=columns, wanted=alike).filter(
            pl.col("content_id").is_null()
        )
        if not unnamed.is_empty():
            older = reader.read_across(
                PRODUCTION_EVENTS, columns=[*CONTENT_COLUMNS, "payload"], wanted=alike
            ).filter(pl.col("content_id").is_null())
            named = fill_content_ids(older).filter(pl.col("content_id").is_in(ids))
            found = pl.concat([found, named.with_columns(is_older=pl.lit(value=True))])
    is_other = [
        bool(claimants[content_id] - {workspace_id})
        for content_id, workspace_id in found.select("content_id", "workspace_id").iter_rows()
    ]
    found = found.filter(pl.Series(is_other, dtype=pl.Boolean))
    if found.is_empty():
        return found, {}
    moves = reader.read_across(
        PRODUCTION_EVENTS,
        columns=["workspace_id", "script_id", "seq", "to_state"],
        wanted={name: found[name].unique().to_list() for name in SCRIPT},
    )
    return found, current_states(moves)


def workspace_rules(workspace: Workspace) -> Rules:
    """The production settings of a workspace's config."""
    approval, max_hours = workspace.approval, workspace.production.max_hours
    return Rules(
        script_approval=approval.scripts,
        video_approval=approval.videos,
        budget_usd_micros=usd_to_micros(workspace.budget.per_video_usd),
        banned_topics=workspace.brand.banned_topics,
        approvers=approval.approvers,
        policy_min_score=approval.policy_min_score,
        policy_max_cost_usd_micros=_to_micros(approval.policy_max_cost_usd),
        two_persons_above_usd_micros=_to_micros(approval.two_persons_above_usd),
        max_hours={
            SCRIPT_PENDING_REVIEW: max_hours.script_pending_review,
            READY_FOR_GENERATION: max_hours.ready_for_generation,
            VIDEO_PENDING_REVIEW: max_hours.video_pending_review,
            READY_FOR_PUBLISH: max_hours.ready_for_publish,
        },
    )


def _to_micros(amount: float | None) -> int | None:
    return None if amount is None else usd_to_micros(amount)


class VideoFolders(Mapping[str, VideoFolder]):
    """The video folders of scripts that have a manifest, each read on demand.

    A folder whose manifest may not be read is among them, with the reason.
    """

    def __init__(self, workspace: Path, hashed: Mapping[str, bool]) -> None:
        """Take the scripts.

        Args:
            workspace: The workspace's folder.
            hashed: Script -> whether its files' checksums are wanted.
        """
        self._workspace = workspace
        self._hashed = hashed
        self._read: dict[str, VideoFolder | None] = {}

    def __getitem__(self, script_id: str) -> VideoFolder:
        if script_id not in self._read:
            self._read[script_id] = (
                find_folder(self._workspace, script_id, with_hash=self._hashed[script_id])
                if script_id in self._hashed
                else None
            )
        folder = self._read[script_id]
        if folder is None:
            raise KeyError(script_id)
        return folder

    def __iter__(self) -> Iterator[str]:
        return (script_id for script_id in self._hashed if self.get(script_id) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def stamp_folders(workspace: Path, scripts: Collection[str]) -> dict[str, str]:
    """The state of scripts' manifests, by script; scripts without a folder are absent.

    The files that a manifest names are not looked at: it is written last, and there may be
    thousands. What stands where a folder should be counts as what it is; a link is not followed.
    """
    videos = workspace / VIDEOS
    if videos.is_symlink():
        return dict.fromkeys(scripts, stamp(videos) or "")
    if len(scripts) > _MANY_SCRIPTS:
        scripts = set(scripts) & _list_names(videos)
    stamps: dict[str, str] = {}
    for script_id in scripts:
        folder = videos / script_id
        try:
            mode = folder.lstat().st_mode
        except OSError:
            continue
        found = stamp(folder / MANIFEST_NAME) if stat.S_ISDIR(mode) else stamp(folder)
        stamps[script_id] = found or ""
    return stamps


def _list_names(folder: Path) -> set[str]:
    try:
        return {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        return set()


def stamp(path: Path) -> str | None:
    """Changes whenever a file does: its kind, inode, size and times; None if there is none."""
    try:
        facts = path.lstat()
    except OSError:
        return None
    return f"{facts.st_mode} {facts.st_ino} {facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns}"


def find_folder(workspace: Path, script_id: str, *, with_hash: bool) -> VideoFolder | None:
    """A script's video folder with the files its manifest names; None if it has no manifest.

    Args:
        workspace: The workspace's folder.
        script_id: The script.
        with_hash: Whether the files' checksums are wanted.
    """
    with ExitStack() as opened:
        try:
            root = opened.enter_context(open_folder(workspace))
        except FileNotFoundError:
            return None
        return _find_folder(root, f"{VIDEOS}/{script_id}", with_hash=with_hash)


def _find_folder(root: int, name: str, *, with_hash: bool) -> VideoFolder | None:
    try:
        with open_below(root, f"{name}/{MANIFEST_NAME}") as file:
            content = read_open(file, MANIFEST_NAME, max_bytes=_MAX_MANIFEST_BYTES).content
    except FileNotFoundError:
        return None
    except FileRefusedError as error:
        return VideoFolder(b"", {}, {MANIFEST_NAME: str(error)})
    found: dict[str, FileFact] = {}
    refused: dict[str, str] = {}
    for file_name, expected in list_manifest_files(content).items():
        try:
            with open_below(root, f"{name}/{file_name}") as file:
                found[file_name] = _measure(file, expected, with_hash=with_hash)
        except FileNotFoundError:
            continue
        except FileRefusedError as error:
            refused[file_name] = str(error)
        except OSError as error:
            refused[file_name] = f"{name}/{file_name} cannot be read: {error.strerror}"
    return VideoFolder(content, found, refused)


def list_manifest_files(manifest: bytes) -> Mapping[str, FileFact]:
    """The files that a manifest names; none if it cannot be read."""
    try:
        return parse_manifest(manifest).files
    except ManifestError:
        return {}  # the rules say so in their own words


def _measure(file: BinaryIO, expected: FileFact, *, with_hash: bool) -> FileFact:
    facts = os.fstat(file.fileno())
    # One of another size is wrong already, and may still grow: it is not read.
    if not with_hash or facts.st_size != expected.size_bytes:
        return FileFact(facts.st_size, None)
    stamp = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
    return FileFact(facts.st_size, _hash(_Opened(stamp, file)))


@dataclass(frozen=True)
class _Opened:
    """An opened file, compared by its stamp only."""

    stamp: tuple[int, ...]
    file: BinaryIO = field(compare=False)


@lru_cache(maxsize=4096)
def _hash(opened: _Opened) -> str:
    """A file's SHA-256; videos are large, so a process reads them again only with a new stamp."""
    digest = hashlib.sha256()
    while chunk := opened.file.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()
