"""The upload log: `uploads.jsonl`, one line per video that was put on a channel.

Belongs here: what a line must hold. Does not belong here: what follows from it (`decide`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from ytap_assets.domain.ids import is_channel_id, is_video_id
from ytap_assets.domain.production.fields import (
    FieldError,
    Fields,
    read_instant,
    read_script_id,
    text_matching,
)
from ytap_assets.domain.production.lines import Parsed, compare_lines, read_lines


@dataclass(frozen=True)
class Upload:
    """A video on a channel.

    Attributes:
        script_id: The script it was made from.
        video_id: Its YouTube id.
        channel_id: The channel, where the line says it.
        published_at: When it was published, in UTC; None where it is uploaded but not yet known
            to be public.
    """

    script_id: str
    video_id: str
    channel_id: str | None
    published_at: datetime | None


def parse_uploads(text: bytes | str) -> Parsed[Upload]:
    """Parse an upload log.

    A later line about the same script and video adds to it (`merge_uploads`). A script with a
    second video, or a video of a second script, is a bad line.
    """
    return compare_lines(read_lines(text, read_upload), find_new_uploads(()))


def find_new_uploads(earlier: Iterable[Upload]) -> Callable[[Upload], bool]:
    """Tells new uploads from repeated ones.

    Args:
        earlier: The uploads in earlier lines, in order.
    """
    seen = set(earlier)
    video_of = {upload.script_id: upload.video_id for upload in seen}
    script_of = {upload.video_id: upload.script_id for upload in seen}

    def is_new(upload: Upload) -> bool:
        if upload in seen:
            return False
        video = video_of.get(upload.script_id, upload.video_id)
        if video != upload.video_id:
            raise FieldError(f"video_id: an earlier line gives this script the video {video}")
        script = script_of.get(upload.video_id, upload.script_id)
        if script != upload.script_id:
            raise FieldError(f"video_id: an earlier line gives this video to script {script}")
        video_of[upload.script_id], script_of[upload.video_id] = upload.video_id, upload.script_id
        seen.add(upload)
        return True

    return is_new


def merge_uploads(uploads: Iterable[Upload]) -> dict[str, Upload]:
    """What all lines of a script say together: of each field, the last that says anything.

    Args:
        uploads: The lines, in order; all lines of one script are about one video.
    """
    merged: dict[str, Upload] = {}
    for upload in uploads:
        before = merged.get(upload.script_id, upload)
        merged[upload.script_id] = replace(
            upload,
            channel_id=upload.channel_id or before.channel_id,
            published_at=upload.published_at or before.published_at,
        )
    return merged


def read_upload(fields: Fields) -> Upload:
    """One line's object as an upload.

    Raises:
        FieldError: It is not one; the message names the field.
    """
    script_id = fields.need("script_id", read_script_id)
    video_id = fields.need("video_id", text_matching(is_video_id, "a YouTube video's id"))
    channel_id = fields.read("channel_id", text_matching(is_channel_id, "a YouTube channel's id"))
    published_at = fields.read("published_at", read_instant)
    fields.check()
    return Upload(script_id, video_id, channel_id, published_at)
