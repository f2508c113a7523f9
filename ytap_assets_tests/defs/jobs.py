"""A job for workers' tests, in a module that their processes can import."""

import os
import time
from pathlib import Path

import dagster as dg


@dg.op(config_schema={"folder": str, "lasts_s": int})
def write_marker(context: dg.OpExecutionContext) -> None:
    """Write a file that names this process, then last for a while."""
    folder = Path(context.op_config["folder"])
    (folder / f"{context.run_id}.{os.getpid()}").touch()
    for _ in range(context.op_config["lasts_s"] * 10):
        time.sleep(0.1)


@dg.job(executor_def=dg.in_process_executor)
def marking() -> None:
    """One step."""
    write_marker()


defs = dg.Definitions(jobs=[marking])
