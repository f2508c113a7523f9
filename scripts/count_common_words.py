"""Count which words are common in titles, and write the counts to `domain/stories/terms.py`.

    python scripts/count_common_words.py DATA_FOLDER

Reads the titles of every recorded trending table under the folder's Hacker News, Reddit and YouTube
parts. A word's share is its mean share over the three, so that none drowns the others; kept are
words that two of them use, or that one of them uses all the time. What is written are shares of
single words; no title can be read from them.
"""

from __future__ import annotations

import argparse
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
START = "# What follows is written by `scripts/count_common_words.py`"
END = "\n}\n"
HEAD = f"""{START}, which counted {{titles:,}} distinct titles
# of Hacker News, Reddit and YouTube. Words are as `stem` leaves them.
_BANDS = {{{{
"""


def main() -> None:
    """Count, and replace the counts in the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path)
    titles = read_titles(parser.parse_args().data)
    shares = common_shares(titles)
    bands = []
    for share, above in zip(BANDS, (1.0, *BANDS), strict=False):
        words = shares.filter(pl.col("share") >= share, pl.col("share") < above)
        text = " ".join(words.get_column("word").sort())
        lines = textwrap.fill(text, 92, initial_indent=" " * 8, subsequent_indent=" " * 8)
        bands.append(f'    {share}: """\n{lines}\n    """,\n')
    head = HEAD.format(titles=titles.height)
    before, old = MODULE.read_text(encoding="utf-8").split(START)
    after = old.split(END, 1)[1]
    MODULE.write_text(f"{before}{head}{''.join(bands)}}}\n{after}", encoding="utf-8")
    print(f"{MODULE}: {shares.height} words of {titles.height} titles")


def common_shares(titles: pl.DataFrame) -> pl.DataFrame:
    """``word`` and ``share``, of the words worth knowing."""
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
