"""Recall and false positives of the spam detection, compared with a substring blocklist.

    python benchmarks/spam.py [DATA_FOLDER]

Comments: each labelled file is scored by models of the other files, of all others or of one. Recall
is given at a false-positive rate of at most 1 %, pooled over the files, with intervals from
resampled comments; rules and model together must be as good as the model alone and as the
blocklist, within 0.02. Titles: real ones that a person labelled (`labels/titles.csv`), found in the
data by their ids.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import polars as pl
from _report import finish, print_table, read_arguments
from _spam_comments import BLOCKLIST, BOTH, RULES, count_substrings, judge_comments, train
from _spam_data import Comments, read_comments, read_labels, read_titles

from ytap_assets.domain.spam.detection import find_spam
from ytap_assets.domain.spam.model import SpamModel
from ytap_assets.domain.spam.rules import SpamRules
from ytap_assets.domain.spam.training import SPAM_SHARE_OF_TITLES

WANTED_RECALL = 0.75
MAX_FALSE_KILLS = 3
HONEST_PER_SOURCE = 1000
ROWS = 1_000_000


def main() -> int:
    """Measure, print tables and one JSON object."""
    data = read_arguments(__doc__)
    comments = read_comments(data)
    figures: dict[str, Any] = {}
    held: dict[str, bool] = {}
    if len(comments) > 1:
        figures, held = judge_comments(comments)
        held["left_out_recall"] = figures["left_out"]["mean_of_files"][BOTH] >= WANTED_RECALL
    else:
        print(f"\n{len(comments)} files of labelled comments: none can be left out, part skipped")
    titles = read_titles(data)
    if titles is not None and comments:
        figures |= judge_titles(titles, comments)
        held["false_kills"] = figures["false_kills"] <= MAX_FALSE_KILLS
        figures |= measure_speed(titles)
    else:
        print("\nNo titles, or no comments to learn from: part skipped")
    return finish("spam", figures, held)


def judge_titles(titles: pl.DataFrame, comments: Sequence[Comments]) -> dict[str, Any]:
    """The result of each method on the titles that a person labelled."""
    labelled = read_labels().join(titles, on=["source", "item_id"], how="inner")
    others = titles.join(read_labels(), on=["source", "item_id"], how="anti")
    others = others.filter(~pl.col("title").is_in(labelled["title"].implode()))
    honest = _some_honest(others)
    share = SPAM_SHARE_OF_TITLES
    of_comments = train(comments, spam_share=share)
    of_both = train(comments, honest, spam_share=share)
    strict = SpamRules(style_signs=1)
    found = {
        BLOCKLIST: count_substrings(labelled["title"]) > 0,
        "rules, one sign is enough": _killed(labelled, strict),
        RULES: _killed(labelled, SpamRules()),
        "rules + model of comments": _killed(labelled, SpamRules(), of_comments),
        "rules + model of comments and titles": _killed(labelled, SpamRules(), of_both),
    }
    is_spam = labelled["label"] == "spam"
    outcome = {
        name: {
            "false_kills": int((kills & ~is_spam).sum()),
            "caught": int((kills & is_spam).sum()),
            "missed": int((~kills & is_spam).sum()),
        }
        for name, kills in found.items()
    }
    print_table(
        f"{labelled.height} labelled titles, {is_spam.sum()} of them spam",
        ["", "wrongly marked", "spam found", "spam missed"],
        [[name, *counts.values()] for name, counts in outcome.items()],
    )
    product = find_spam(labelled, SpamRules(), of_both)
    _print_titles("Titles wrongly marked as spam", product.filter(found[_PRODUCT] & ~is_spam))
    _print_titles("Spam missed", product.filter(~found[_PRODUCT] & is_spam))
    too_few = product["spam_reasons"].list.eval(pl.element().str.starts_with(_MINIMUM)).list.any()
    print(f"\nBelow the minimum engagement, which says nothing of a title: {too_few.sum()}")
    return {
        "false_kills": outcome[_PRODUCT]["false_kills"],
        "titles_found": labelled.height,
        "titles_labelled": read_labels().height,
        "titles": outcome,
        "titles_below_minimum": int(too_few.sum()),
        "unlabelled_titles_flagged": _flagged_share(others, of_both),
    }


_PRODUCT = "rules + model of comments and titles"
_MINIMUM = "minimum_engagement:"


def _some_honest(others: pl.DataFrame) -> pl.Series:
    """Unlabelled titles that are assumed to be honest: the same number of each source."""
    mixed = others.sort(pl.col("item_id").hash(seed=1), "item_id")
    return mixed.group_by("source", maintain_order=True).head(HONEST_PER_SOURCE)["title"]


def _killed(rows: pl.DataFrame, rules: SpamRules, model: SpamModel | None = None) -> pl.Series:
    """Whether a title is spam for any reason except too little engagement."""
    off = rules.extended(limits={"rules_off": frozenset({"minimum_engagement"})})
    return find_spam(rows, off, model)["is_spam"]


def _flagged_share(others: pl.DataFrame, model: SpamModel) -> dict[str, Any]:
    """The number of all other titles that are flagged; they are not labelled."""
    rules = _killed(others, SpamRules())
    both = _killed(others, SpamRules(), model)
    told = find_spam(others.filter(both), SpamRules(), model)
    _print_titles(f"Of {others.height:,} other titles, which nobody labelled, flagged", told)
    return {"titles": others.height, RULES: int(rules.sum()), BOTH: int(both.sum())}


def _print_titles(head: str, rows: pl.DataFrame) -> None:
    print_table(
        f"{head}: {rows.height}",
        ["source and id", "title", "reasons"],
        [
            [f"{source} {item_id}", " ".join(title.split())[:80], "; ".join(reasons)]
            for source, item_id, title, reasons in rows.select(
                "source", "item_id", "title", "spam_reasons"
            ).iter_rows()
        ],
    )


def measure_speed(titles: pl.DataFrame) -> dict[str, Any]:
    """Seconds of the rules on a million rows: the titles, repeated on other days."""
    times = math.ceil(ROWS / titles.height)
    rows = pl.concat(
        [
            titles.with_columns(day=pl.col("day").dt.offset_by(f"{number}d"))
            for number in range(times)
        ]
    ).head(ROWS)
    find_spam(rows.head(10_000), SpamRules())
    began = perf_counter()
    find_spam(rows, SpamRules())
    seconds = perf_counter() - began
    print(f"\nRules on {rows.height:,} rows: {seconds:.1f} s")
    return {"seconds_per_million": round(seconds, 2)}


if __name__ == "__main__":
    sys.exit(main())
