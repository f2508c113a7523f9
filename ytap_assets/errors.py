"""The errors of this project. Each message says what happened, to what, and what to do.

- `YtapError`: errors that are shown to users in one line.
    - `ConfigError`: the environment or a workspace's config is wrong.
    - `SourceError` (`sources.http.exchange`): a request to a platform failed.
    - `LakeError` (`lakehouse.errors`): the lakehouse refused or could not.
    - `ImportRefusedError`: a file is of no known format.
    - `ImportFailedError` (`operations.imports`): of some files nothing was imported.
    - `QuestionError`: the requested object does not exist, or the request is invalid.
    - `TransitionRefusedError`: a script cannot move that way.
        - `UnknownScriptError`: there is no such script.
    - `FileRefusedError`: a file in a workspace's folder may not or cannot be read.
    - `ManifestError` (`domain.production.manifest`): a video's manifest cannot be read.
"""

from __future__ import annotations


class YtapError(Exception):
    """An error that is shown in one line: what happened, to what, and what to do."""


class ConfigError(YtapError):
    """The environment or a workspace's config is wrong; the message names the key."""


class ImportRefusedError(YtapError):
    """A file is of no known format; the message says what was expected."""


class FileRefusedError(YtapError):
    """A file in a workspace's folder may not or cannot be read; the message says which and why."""


class QuestionError(YtapError):
    """The request names something unknown or invalid; a retry has the same result."""


class TransitionRefusedError(YtapError):
    """The transition is not allowed in the script's current state."""


class UnknownScriptError(TransitionRefusedError, QuestionError):
    """There is no such script."""
