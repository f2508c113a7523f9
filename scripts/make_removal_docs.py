"""Write the tables in `docs/removal.md` from the declarations of the tables.

    python scripts/make_removal_docs.py

A test compares the two.
"""

from __future__ import annotations

from pathlib import Path

from ytap_assets.operations.workspaces import render_removals

PAGE = Path(__file__).parents[1] / "docs" / "removal.md"
BEGIN, END = "<!-- removals: written by scripts/make_removal_docs.py -->\n", "<!-- end -->"


def fill_page(page: str) -> str:
    """The page with what the tables declare now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{render_removals()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(fill_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
