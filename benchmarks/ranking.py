"""What was known at a moment, ranked, against what became of it.

Reddit: at every half hour of a score history the posts seen in the last 15 minutes are ranked by
what is known then, and compared with their last known scores: NDCG@10 on log(1 + score) and
Spearman, means over the half hours. YouTube: the videos of each month of the daily lists, ranked
at first sight, against their views five days later, and against what they gained in these days.

What is usual (the norms) comes from earlier half hours, or earlier months, alone. The constants
of momentum were chosen on the half of the Reddit posts whose hash is even; the last table chooses
them again on either half and reports on the other.

    python benchmarks/ranking.py [DATA_FOLDER]
"""

from __future__ import annotations

import sys

from _rank_reddit import rank_reddit
from _rank_youtube import rank_youtube
from _report import finish, read_arguments

LEAST_NDCG = 0.955
LEAST_SPEARMAN = 0.90


def main() -> int:
    """Measure, print tables and one JSON object."""
    data = read_arguments(__doc__)
    figures = {**rank_reddit(data), **rank_youtube(data)}
    held = {}
    if "reddit_ndcg10" in figures:
        held = {
            f"reddit_ndcg10_at_least_{LEAST_NDCG}": figures["reddit_ndcg10"] >= LEAST_NDCG,
            f"reddit_spearman_at_least_{LEAST_SPEARMAN}": (
                figures["reddit_spearman"] >= LEAST_SPEARMAN
            ),
        }
    return finish("ranking", figures, held)


if __name__ == "__main__":
    sys.exit(main())
