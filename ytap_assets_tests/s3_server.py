"""An S3 server with the bucket `lakes`, until it is terminated; prints its endpoint.

python -m ytap_assets_tests.s3_server [ADDRESS]
"""

from __future__ import annotations

import logging
import signal
import sys

from moto.server import ThreadedMotoServer
from pyarrow import fs


def main() -> None:
    """Serve on a free port of an address of this machine."""
    address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address=address, port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    system = fs.S3FileSystem(
        access_key="tests",
        secret_key="swordfish",  # noqa: S106
        endpoint_override=f"{address}:{port}",
        scheme="http",
        region="us-east-1",
        allow_bucket_creation=True,
    )
    system.create_dir("lakes")
    sys.stdout.write(f"http://{address}:{port}\n")
    sys.stdout.flush()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    server.stop()


if __name__ == "__main__":
    main()
