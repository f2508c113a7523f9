"""The command line: ``ytap``.

- ``app``          the command with its subcommands, ``completion``; `main` is the console script
- ``common``       errors and exit codes, shared options, the installation
- ``output``       escaping, tables, CSV, JSON, progress
- ``workspace``    ``workspace create | list | show | identify | archive | unarchive``
- ``script``       ``script list | show | approve | reject | send-back | cancel``
- ``collecting``   ``materialize``, ``import trends``
- ``trends``       ``trends top | explain``
- ``sql``          ``sql``, ``shell``, ``attach``, ``summary``
- ``upkeep``       ``maintain``, ``backup``, ``restore``, ``lake``, ``doctor``
- ``ui``           ``ui``

Belongs here: arguments, output, exit codes. Does not belong here: anything useful to a sensor or
another program (`operations`). A module imports only what every command needs; a command imports
the rest when it runs, which keeps ``ytap --help`` and ``ytap sql`` fast.
"""

from __future__ import annotations


def main() -> None:
    """Run the command line; the console script ``ytap``."""
    from ytap_assets.cli.app import run

    run()
