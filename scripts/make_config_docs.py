"""Write the table of keys in `docs/config.md` from the models of the config.

    python scripts/make_config_docs.py

A test compares the two, so a key that is added, renamed or explained otherwise is written here too.
"""

from __future__ import annotations

from pathlib import Path

from ytap_assets.config_keys import render_reference
from ytap_assets.workspaces import Workspace

PAGE = Path(__file__).parents[1] / "docs" / "config.md"
BEGIN, END = "<!-- keys: written by scripts/make_config_docs.py -->\n", "<!-- end of keys -->"


def fill_page(page: str) -> str:
    """The page with the keys as the models declare them now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{render_reference(Workspace)}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(fill_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
