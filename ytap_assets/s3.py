"""Connections to S3, for the files of a lake and for reports and models.

Keys are found by the usual chain of providers: the environment, a profile, the machine's role.
"""

from __future__ import annotations

from pyarrow import fs

from ytap_assets.settings import Bucket

_CONNECT_S, _REQUEST_S = 10, 30


def connect(bucket: Bucket) -> fs.S3FileSystem:
    """A file system of the server; nothing is asked yet. Its paths begin with a bucket's name."""
    scheme, _, host = (bucket.endpoint or "").rpartition("://")
    return fs.S3FileSystem(
        **({"endpoint_override": host, "scheme": scheme} if host else {}),
        **({"region": bucket.region} if bucket.region else {}),
        connect_timeout=_CONNECT_S,
        request_timeout=_REQUEST_S,
    )
