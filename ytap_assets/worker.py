"""The Celery app of a worker: `celery -A ytap_assets.worker worker`."""

from ytap_assets.defs.workers import build_worker

app = build_worker()
