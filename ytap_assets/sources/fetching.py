"""One fetch: ask a source for a target, read the answer, write down how it went.

Whatever happens, a fault of our own included, ends in a `Fetch` with a typed outcome. Belongs
here: the rows of the evidence tables. Does not belong here: which fetches there are (`collect`).
"""

from __future__ import annotations

import hashlib
import logging
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urldefrag

import polars as pl

from ytap_assets.sources.exchange import NOT_MODIFIED, Exchange
from ytap_assets.sources.fetch import Fetch
from ytap_assets.sources.http.exchange import SourceError, UnexpectedError, UnrecoverableError
from ytap_assets.sources.parsing import Parsed, Unreadable
from ytap_assets.sources.source import Answers, Query, Source, Visit
from ytap_assets.tables import QUARANTINED_ROWS, RAW_PAYLOADS
from ytap_assets.tables.evidence import Outcome
from ytap_assets.workspaces import Workspace

_LOG = logging.getLogger(__name__)
_STANDING: frozenset[Outcome] = frozenset({"unrecoverable", "disabled"})
"""What is so however often it is asked for, and is said once."""
_SHOWN_CHARS = 300


@dataclass
class _Conversation:
    """What was asked and answered, and what ended it."""

    started_at: datetime
    exchanges: list[Exchange] = field(default_factory=list)
    error: SourceError | None = None

    @property
    def attempts(self) -> int:
        failed = self.error.attempts if self.error else 0
        return failed + sum(exchange.attempts for exchange in self.exchanges)

    @property
    def evidence(self) -> list[Exchange]:
        """Every answer, the refused one included."""
        refused = self.error.exchange if self.error else None
        return [*self.exchanges, refused] if refused else self.exchanges


async def fetch_target(
    source: Source, target: str, workspace: Workspace, visit: Visit, *, run_id: str
) -> Fetch:
    """Ask ``source`` for ``target`` and read what it answers.

    Never raises for what a platform does, nor for a fault of the source's code: the outcome and
    its detail are in the fetch's log, and other targets go on. What arrived before a failure is
    kept. Under replay the same recordings give the same fetch, ids included.
    """
    conversation = await _converse(source, Query(source.name, target, workspace, visit))
    parsed, rows = _parse(source, conversation, visit)
    ended = _describe(conversation, parsed)
    # The same fetch replayed has the same name, and so has the same refusal: it is stored once.
    stands = ended["outcome"] in _STANDING and not conversation.evidence
    told_apart = ended["outcome"] if stands else conversation.started_at.isoformat()
    shared = {
        "workspace_id": workspace.workspace_id,
        "day": visit.day,
        "collection_id": name_by_content(
            workspace.workspace_id, source.name, target, visit.day.isoformat(), told_apart
        ),
    }
    log = {
        **shared,
        "source": source.name,
        "target": target,
        "history": source.history,
        **ended,
        "started_at": conversation.started_at,
        "finished_at": visit.now(),
        "run_id": run_id,
    }
    _announce(log)
    return Fetch(
        log=log,
        rows=rows.with_columns(pl.lit(value).alias(name) for name, value in shared.items()),
        quarantined=frame_quarantined(parsed.unreadable, source.name, shared),
        payloads=_frame_payloads(conversation.evidence, source.name, shared),
    )


async def _converse(source: Source, query: Query) -> _Conversation:
    """Ask for everything, up to what ends it."""
    conversation = _Conversation(started_at=query.visit.now())
    try:
        _check_answerable(source, query.visit)
        async for exchange in source.ask(query):
            conversation.exchanges.append(exchange)
    except SourceError as error:
        conversation.error = error
    except Exception as error:  # a bug: whatever it is, the other targets go on
        conversation.error = _own_fault(error, f"{source.name} {query.target}", query.visit)
    return conversation


def _parse(
    source: Source, conversation: _Conversation, visit: Visit
) -> tuple[Parsed, pl.DataFrame]:
    """What was answered, and its rows, still without what the rows of a fetch share."""
    try:
        parsed = source.parse(Answers(visit.day, conversation.exchanges))
        rows = source.table.frame(parsed.rows)
    except Exception as error:
        problem = _own_fault(error, f"reading {source.name}", visit)
        return Parsed(problem=problem), source.table.empty()
    kept = visit.client.conduct.kept
    if parsed.problem is not None and kept is not None:
        kept.forget(urldefrag(each.url).url for each in conversation.exchanges)
    return parsed, rows


def _own_fault(error: Exception, what: str, visit: Visit) -> UnexpectedError:
    """An exception nobody foresaw, told in the log with its traceback, without secrets."""
    redact = visit.client.conduct.redactor.text
    trace = redact("".join(traceback.format_exception(error)))
    _LOG.error("%s failed unexpectedly:\n%s", what, _legible(trace, keep="\n"))
    said = _legible(redact(f"{type(error).__name__}: {error}")[:_SHOWN_CHARS])
    return UnexpectedError(
        f"{said}: a fault of this program; its log has the traceback, and what had arrived is in"
        " raw_payloads, to be parsed again"
    )


def _legible(text: str, *, keep: str = "") -> str:
    """The text as any log can hold it: half a surrogate pair cannot be written, nor stored."""
    return "".join(char if char.isprintable() or char in keep else "\ufffd" for char in text)


def name_by_content(*parts: str) -> str:
    """A name made of what it names: 32 hex digits."""
    text = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()[:32]


def frame_quarantined(
    unreadable: Sequence[Unreadable], source: str, shared: dict[str, Any]
) -> pl.DataFrame:
    """Rows of ``quarantined_rows``.

    Args:
        unreadable: The items put aside.
        source: The platform.
        shared: ``workspace_id``, ``day`` and ``collection_id``.
    """
    collection_id = str(shared["collection_id"])
    return QUARANTINED_ROWS.frame(
        [
            {
                **shared,
                "quarantine_id": name_by_content(
                    collection_id, item.origin, item.place, item.original
                ),
                "source": source,
                "origin": item.origin,
                "place": item.place,
                "reason": item.reason,
                "original": item.original,
                "quarantined_at": item.seen_at,
            }
            for item in unreadable
        ]
    )


def _frame_payloads(
    exchanges: Sequence[Exchange], source: str, shared: dict[str, Any]
) -> pl.DataFrame:
    return RAW_PAYLOADS.frame(
        [
            {
                **shared,
                "payload_id": f"{shared['collection_id']}-{number:04d}",
                "source": source,
                "url": exchange.url,
                "http_status": exchange.status,
                "content_type": exchange.content_type,
                "fetched_at": exchange.fetched_at,
                "size_bytes": len(exchange.body),
                "sha256": hashlib.sha256(exchange.body).hexdigest(),
                "is_truncated": exchange.is_truncated,
                "body": exchange.body,
            }
            for number, exchange in enumerate(exchanges)
        ]
    )


def _check_answerable(source: Source, visit: Visit) -> None:
    if visit.day > visit.today:
        raise UnrecoverableError(f"{visit.day} has not begun; ask again then")
    if visit.day < visit.today and source.history != "date_queryable":
        raise UnrecoverableError(
            f"{source.name} only shows the present ({source.history}); {visit.day} is over"
        )


def _describe(conversation: _Conversation, parsed: Parsed) -> dict[str, Any]:
    """How it ended, and how much there was."""
    error = conversation.error or parsed.problem
    evidence = conversation.evidence
    unchanged = bool(evidence) and all(each.status == NOT_MODIFIED for each in evidence)
    outcome: Outcome = "not_modified" if unchanged else "ok"
    return {
        "outcome": error.outcome if error else outcome,
        "detail": str(error) if error else parsed.remark,
        "http_status": evidence[-1].status if evidence else None,
        "attempts": conversation.attempts,
        "fetched": len(parsed.rows) + len(parsed.unreadable),
        "accepted": 0,
        "quarantined": len(parsed.unreadable),
        "duplicates": 0,
    }


def _announce(log: dict[str, Any]) -> None:
    level = logging.INFO if log["outcome"] in {"ok", "not_modified"} else logging.WARNING
    _LOG.log(
        level,
        "%s %s %s: %s, %d rows, %d put aside%s",
        log["workspace_id"],
        log["source"],
        log["target"],
        log["outcome"],
        log["fetched"] - log["quarantined"],
        log["quarantined"],
        f" ({log['detail']})" if log["detail"] else "",
    )
