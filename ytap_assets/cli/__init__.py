"""The shell's face of the operations: ``ytap``.

- ``app``          every command, put together; `main` is the console script
- ``group``        the one place where an error becomes a line and an exit code
- ``options``      options that several commands share
- ``context``      the installation, a run, the terminal
- ``text``         hostile text made harmless, tables of it
- ``results``      a statement's rows as a table, CSV or JSON
- ``statements``   ``sql``, ``shell``, ``attach``
- ``shell``        the interactive part of ``shell``
- ``workspace``    ``workspace create | list | show | identify | archive | unarchive``
- ``script``       ``script list | show | approve | reject | send-back | cancel``
- ``collecting``   ``materialize``, ``import trends``
- ``upkeep``       ``maintain``, ``backup``, ``restore``, ``doctor``
- ``ui``           ``ui``
- ``summary``      ``summary``
- ``completion``   ``completion``
- ``progress``     a bar, or a line per step

Belongs here: arguments, output, exit codes. Does not belong here: anything a sensor or another
program might want too (`operations`). A module imports only what every command needs; a command
imports the rest when it runs, so that ``ytap --help`` and ``ytap sql`` answer at once.
"""

from __future__ import annotations


def main() -> None:
    """Run the command line; the console script ``ytap``."""
    from ytap_assets.cli.app import run

    run()
