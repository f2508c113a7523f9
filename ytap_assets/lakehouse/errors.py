"""What the lakehouse refuses, and why.

- `LakeError`
    - `PublishRefusedError`: a frame failed a check; the previous rows are still there
    - `SchemaConflictError`: the lake's tables and the declarations cannot be reconciled
    - `LockTimeoutError`: another process held the write lock for too long
    - `DiskFullError`: there is no space left
    - `DiskFailureError`: the disk, or a limit of the process, refused to read or write
    - `LakeReadOnlyError`: the lake's folder cannot be written to
    - `CatalogBusyError`: another program than ours kept the catalog locked, or wrote to it
    - `SnapshotMissingError`: the snapshot never was, or has expired
    - `LakeMissingError`: there is no lake where one is looked for
    - `LakeDamagedError`: the catalog cannot be read, or refers to files that are not there
    - `StatementRefusedError`: a statement would reach more than the lake
    - `SweepRefusedError`: deleting files would not be safe
    - `BackupError`: a backup is damaged or cannot be put back
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ytap_assets.errors import QuestionError, YtapError

if TYPE_CHECKING:
    from ytap_assets.lakehouse.checks import CheckResult


class LakeError(YtapError):
    """The lakehouse refused, or could not."""


class PublishRefusedError(LakeError):
    """A frame failed a check. Nothing was written; the previous rows are still readable.

    Attributes:
        results: Every check's result, the failed ones with their failing cases.
    """

    def __init__(self, table: str, results: tuple[CheckResult, ...]) -> None:
        self.results = results
        failed = [result for result in results if not result.passed]
        reasons = "; ".join(f"{result.name}: {result.summary}" for result in failed)
        super().__init__(f"{table}: refused, the previous rows stay: {reasons}")


class SchemaConflictError(LakeError):
    """The lake's tables and the declarations cannot be reconciled; the message has the way out."""


class LockTimeoutError(LakeError):
    """Another process held the write lock for too long."""


class DiskFullError(LakeError):
    """There is no space left. A write left nothing behind; the previous rows are there."""


class DiskFailureError(LakeError):
    """The disk, or a limit of the process, refused to read or write; nothing was changed."""


class LakeReadOnlyError(LakeError):
    """The lake's folder cannot be written to; nothing was written."""


class CatalogBusyError(LakeError):
    """Another program kept the catalog locked, or wrote to it meanwhile; nothing was written."""


class SnapshotMissingError(LakeError, QuestionError):
    """The snapshot never was, or has expired."""


class LakeMissingError(LakeError):
    """There is no lake where one is looked for; the message names the place and what set it."""


class LakeDamagedError(LakeError):
    """The catalog cannot be read, or refers to files that are not there; nothing was changed."""


class StatementRefusedError(LakeError, QuestionError):
    """A statement would reach more than the lake: a file, another database, an extension."""


class SweepRefusedError(LakeError):
    """Deleting files would not be safe: it is not proved that nothing needs them."""


class BackupError(LakeError):
    """A backup is damaged, or cannot be put back."""
