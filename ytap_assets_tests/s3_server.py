"""An S3 server with the bucket `lakes`, until it is terminated; prints its endpoint."""

from __future__ import annotations

import logging
import signal
import sys

from moto.server import ThreadedMotoServer
from pyarrow import fs


def main() -> None:
    """Serve on a free port of this machine."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    system = fs.S3FileSystem(
        access_key="tests",
        secret_key="swordfish",  # noqa: S106
        endpoint_override=f"127.0.0.1:{port}",
        scheme="http",
        region="us-east-1",
        allow_bucket_creation=True,
    )
    system.create_dir("lakes")
    sys.stdout.write(f"http://127.0.0.1:{port}\n")
    sys.stdout.flush()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    server.stop()


if __name__ == "__main__":
    main()
