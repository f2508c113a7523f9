"""The exceptions of the lakehouse.

- `LakeError`
    - `PublishRefusedError`: a frame failed a check; the previous rows stay
    - `SchemaConflictError`: the lake's tables and the declarations cannot be reconciled
    - `LockTimeoutError`: another process held the write lock for too long
    - `DiskFullError`: there is no space left
    - `DiskFailureError`: the disk, or a limit of the process, refused to read or write
    - `LakeReadOnlyError`: the lake's folder cannot be written to
    - `CatalogBusyError`: a program outside this project locked the catalog or wrote to it
    - `SnapshotMissingError`: the snapshot never existed, or has expired
    - `LakeMissingError`: there is no lake at the configured place
    - `LakeDamagedError`: the catalog is unreadable, or refers to missing files
    - `StatementRefusedError`: a statement would reach more than the lake
    - `SweepRefusedError`: deleting files is not safe
    - `BackupError`: a backup is damaged or cannot be restored
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ytap_assets.errors import QuestionError, YtapError

if TYPE_CHECKING:
    from ytap_assets.lakehouse.checks import CheckResult


class LakeError(YtapError):
    """The base of the lakehouse's exceptions."""


class PublishRefusedError(LakeError):
    """A frame failed a check. Nothing was written; the previous rows stay readable.

    Attributes:
        results: The result of every check; a failed one holds its failing cases.
    """

    def __init__(self, table: str, results: tuple[CheckResult, ...]) -> None:
        self.results = results
        failed = [result for result in results if not result.passed]
        reasons = "; ".join(f"{result.name}: {result.summary}" for result in failed)
        super().__init__(f"{table}: refused, the previous rows stay: {reasons}")


class SchemaConflictError(LakeError):
    """The stored tables cannot be upgraded to the declarations; the message says what to do."""


class LockTimeoutError(LakeError):
    """Another process held the write lock for too long."""


class DiskFullError(LakeError):
    """There is no space left. Nothing was written; the previous rows stay."""


class DiskFailureError(LakeError):
    """The disk, or a limit of the process, refused to read or write; nothing was changed."""


class LakeReadOnlyError(LakeError):
    """The lake's folder cannot be written to; nothing was written."""


class CatalogBusyError(LakeError):
    """Another program locked the catalog or wrote to it; nothing was written."""


class SnapshotMissingError(LakeError, QuestionError):
    """The snapshot never existed, or has expired."""


class LakeMissingError(LakeError):
    """There is no lake at the configured place; the message names the place and its variable."""


class LakeDamagedError(LakeError):
    """The catalog is unreadable, or refers to missing files; nothing was changed."""


class StatementRefusedError(LakeError, QuestionError):
    """A statement would reach more than the lake: a file, another database, an extension."""


class SweepRefusedError(LakeError):
    """Deleting files is not safe: something may still need them."""


class BackupError(LakeError):
    """A backup is damaged or cannot be restored."""
