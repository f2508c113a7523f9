"""Validation of ids: workspaces and their uids, YouTube videos and channels."""

from __future__ import annotations

import re

from ytap_assets.errors import ConfigError

WORKSPACE_ID_RULE = "1-63 characters of a-z, 0-9, _ and -, beginning with a letter or digit"
_WORKSPACE_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_UID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
VIDEO_ID = r"^[A-Za-z0-9_-]{11}$"
_CHANNEL_ID = re.compile(r"UC[A-Za-z0-9_-]{22}")


def check_workspace_id(text: str) -> str:
    """Return ``text`` if it is a valid workspace id.

    Raises:
        ConfigError: It is not; the message has the rule.
    """
    if not is_workspace_id(text):
        raise ConfigError(f"workspace {text!r}: a workspace's name is {WORKSPACE_ID_RULE}")
    return text


def is_workspace_id(text: str) -> bool:
    """Whether the whole text is a workspace id."""
    return _WORKSPACE_ID.fullmatch(text) is not None


def read_uid(value: object) -> str:
    """Parse a workspace's uid: a ULID, in capitals.

    Raises:
        ValueError: It is not a ULID.
    """
    text = value.upper() if isinstance(value, str) and value.isascii() else ""
    if _UID.fullmatch(text) is None:
        raise ValueError("a uid is a ULID in quotes; `ytap workspace identify` writes one")
    return text


def is_video_id(text: str) -> bool:
    """Whether the whole text is a YouTube video id."""
    return re.fullmatch(VIDEO_ID, text) is not None


def is_channel_id(text: str) -> bool:
    """Whether the whole text is a YouTube channel id."""
    return _CHANNEL_ID.fullmatch(text) is not None
