"""The script inbox: `scripts.jsonl`, one script per line, appended to by script generators.

Belongs here: what a line must hold to become a record. Does not belong here: whether the script is
any good (`gates`), or reading the file. A line is bad when no record can be made of it; a script
that merely lacks something is submitted, and held back by a gate that says what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from ytap_assets.domain.production.events import digest
from ytap_assets.domain.production.fields import (
    FieldError,
    Fields,
    read_instant,
    read_number,
    read_script_id,
    read_usd_micros,
    text_matching,
    text_up_to,
)
from ytap_assets.domain.production.lines import Parsed, compare_lines, read_lines

_NOT_IN_PAYLOAD = ("script_id", "created_at", "estimated_cost_usd")


@dataclass(frozen=True)
class Submission:
    """A script as its generator submitted it.

    Attributes:
        script_id: Names it; safe as the name of a folder.
        created_at: When its generator says it was made, in UTC.
        payload: Every other key of the line, the unknown ones too, with the cost as
            ``estimated_cost_usd_micros``.
    """

    script_id: str
    created_at: datetime
    payload: Mapping[str, Any]

    @cached_property
    def digest(self) -> str:
        """Names the submission's whole content."""
        return digest([self.script_id, self.created_at.isoformat(), self.payload])


def parse_scripts(text: bytes | str) -> Parsed[Submission]:
    """Parse an inbox. Of two lines with one script id, the second is bad unless they are equal."""
    return compare_lines(read_lines(text, read_submission), find_new_scripts({}))


def find_new_scripts(earlier: Mapping[str, str]) -> Callable[[Submission], bool]:
    """Tells new scripts from repeated ones.

    Args:
        earlier: The digests of the scripts in earlier lines, by script id.
    """
    seen = dict(earlier)

    def is_new(script: Submission) -> bool:
        first = seen.setdefault(script.script_id, "")
        if not first:
            seen[script.script_id] = script.digest
        elif first != script.digest:
            raise FieldError(f"script_id: an earlier line holds another {script.script_id}")
        return not first

    return is_new


def read_submission(fields: Fields) -> Submission:
    """One line's object as a submission.

    Raises:
        FieldError: No record can be made of it; the message names the fields.
    """
    script_id = fields.need("script_id", read_script_id)
    created_at = fields.need("created_at", read_instant)
    estimated = fields.read("estimated_cost_usd", read_usd_micros)
    for key in ("title", "generation_method"):
        fields.read(key, text_up_to(500))
    fields.read("hook", text_up_to(5_000))
    fields.read("body", text_up_to(200_000))
    fields.read("segments", _read_segments)
    fields.read("topic_url", text_matching(_is_web_address, "an http or https address"))
    fields.read("quality", read_number)
    fields.check()
    payload = {key: value for key, value in fields.content.items() if key not in _NOT_IN_PAYLOAD}
    return Submission(script_id, created_at, {**payload, "estimated_cost_usd_micros": estimated})


def _read_segments(value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(part, (str, dict)) for part in value):
        raise FieldError("expected a list of texts or objects")


def _is_web_address(text: str) -> bool:
    try:
        address = urlsplit(text)
    except ValueError:
        return False
    return address.scheme in ("http", "https") and bool(address.hostname) and text.isprintable()


def script_text(payload: Mapping[str, Any]) -> str:
    """What is said in the video: the texts of ``body`` and ``segments``, one below the other."""
    return "\n".join(_texts([payload.get("body"), payload.get("segments")]))


def _texts(content: object) -> Iterator[str]:
    # No deeper than what `lines` lets through, so recursion is safe.
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            yield from _texts(part)
    elif isinstance(content, dict):
        yield from _texts(list(content.values()))
