"""Connections to S3, for the files of a lake and for reports and models.

Keys are found by the usual chain of providers: the environment, a profile, the machine's role.
"""

from __future__ import annotations

from pyarrow import fs

from ytap_assets.settings import Bucket

_CONNECT_S, _REQUEST_S = 10, 30


class BucketMissingError(OSError):
    """There is no bucket of that name."""


def require_bucket(system: fs.S3FileSystem, bucket: Bucket) -> None:
    """See that the bucket is there.

    Raises:
        BucketMissingError: It is not.
        OSError: The server cannot be reached, or refused to say.
    """
    if system.get_file_info(bucket.name).type == fs.FileType.NotFound:
        raise BucketMissingError(
            f"the bucket {bucket.name!r} does not exist; create it, or correct the name"
        )


def connect(bucket: Bucket) -> fs.S3FileSystem:
    """A file system of the server; nothing is asked yet. Its paths begin with a bucket's name."""
    scheme, _, host = (bucket.endpoint or "").rpartition("://")
    return fs.S3FileSystem(
        **({"endpoint_override": host, "scheme": scheme} if host else {}),
        **({"region": bucket.region} if bucket.region else {}),
        connect_timeout=_CONNECT_S,
        request_timeout=_REQUEST_S,
    )
