"""The Celery app of a worker: `celery -A ytap_assets.worker worker`."""

import sys

from ytap_assets.defs.workers import build_worker
from ytap_assets.errors import ConfigError

try:
    app = build_worker()
except ConfigError as error:
    sys.exit(f"error: {error}")
