"""Count which words are common in titles, and write `_BANDS` in `domain/stories/terms.py`.

    python scripts/count_common_words.py DATA_FOLDER

Reads the titles of all recorded trend files in the folder's parts of Hacker News, Reddit and
YouTube. A word's share is the mean of its shares in the three, so that each part has the same
weight. Words of one part only are left out unless they are frequent in it. Only shares of single
words are written, from which no title can be restored.
"""

from __future__ import annotations

import argparse
import ast
import sys
import textwrap
from pathlib import Path

import polars as pl

from ytap_assets.domain.stories.terms import read_words

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "benchmarks"))

from _titles import read_titles  # noqa: E402  (the benchmarks are no package)

MODULE = ROOT / "ytap_assets/domain/stories/terms.py"
BANDS = (0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005)
SEEN_BY_ONE = 0.01
LEAST_COUNT = 3


def main() -> None:
    """Count the words and replace the assignment in the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path)
    titles = read_titles(parser.parse_args().data)
    shares = common_shares(titles)
    source = MODULE.read_text(encoding="utf-8")
    MODULE.write_text(replace_bands(source, shares, titles.height), encoding="utf-8")
    print(f"{MODULE}: {shares.height} words of {titles.height} titles")


def replace_bands(source: str, shares: pl.DataFrame, titles: int) -> str:
    """A module's source with a new assignment of `_BANDS`; all other lines are unchanged.

    Args:
        source: The source.
        shares: ``word`` and ``share``.
        titles: The number of titles in which the words were counted.
    """
    [old] = [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_BANDS"
    ]
    bands = []
    for share, above in zip(BANDS, (1.0, *BANDS), strict=False):
        words = shares.filter(pl.col("share") >= share, pl.col("share") < above)
        text = " ".join(words.get_column("word").sort())
        lines = textwrap.fill(text, 92, initial_indent=" " * 8, subsequent_indent=" " * 8)
        bands += [f'    {share}: """', lines, '    """,']
    counted = f"    # Of {titles:,} distinct titles of Hacker News, Reddit and YouTube."
    module = source.split("\n")
    module[old.lineno - 1 : old.end_lineno] = ["_BANDS = {", counted, *bands, "}"]
    return "\n".join(module)


def common_shares(titles: pl.DataFrame) -> pl.DataFrame:
    """``word`` and ``share`` of the common words."""
    numbered = titles.with_row_index("title_no")
    words = read_words(numbered).unique().join(numbered, on="title_no")
    sizes = titles.group_by("source").agg(size=pl.len())
    by_source = words.group_by("word", "source").len().join(sizes, on="source")
    by_source = by_source.with_columns(share=pl.col("len") / pl.col("size"))
    return (
        by_source.group_by("word")
        .agg(
            share=pl.col("share").sum() / sizes.height,
            seen_by=(pl.col("len") >= LEAST_COUNT).sum(),
            most=pl.col("share").max(),
        )
        .filter((pl.col("seen_by") > 1) | (pl.col("most") >= SEEN_BY_ONE))
        .filter(pl.col("share") >= BANDS[-1], ~pl.col("word").str.contains(r"^[\p{N}.,]+$"))
        .select("word", "share")
    )


if __name__ == "__main__":
    main()
