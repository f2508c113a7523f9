"""Progress: a bar on a terminal, a line per step elsewhere; always on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ytap_assets.cli.context import note
from ytap_assets.cli.text import clean, fit

_WIDTH = 48


@contextmanager
def show_steps(total: int) -> Iterator[Callable[[str], None]]:
    """Show steps as they begin.

    Args:
        total: How many there will be, as far as is known.

    Yields:
        What is to be called with each step's name when it begins.
    """
    if not sys.stderr.isatty():
        count = 0

        def write(step: str) -> None:
            nonlocal count
            count += 1
            note(f"[{count}/{total}] {clean(step)}")

        yield write
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        begun = False

        def advance(step: str) -> None:
            nonlocal begun
            shown = escape(fit(clean(step), _WIDTH))
            bar.update(task, advance=int(begun), description=shown)
            begun = True

        yield advance
        bar.update(task, completed=total)
