"""Rankings from what was known at a time, compared with later counts.

Reddit: at every half hour of a score history the posts observed in the last 15 minutes are ranked
by what is known then, and compared with their last known scores: NDCG@10 on log(1 + score) and
Spearman, means over the half hours. YouTube: the videos of each month of the daily lists, ranked
at their first observation, against their views five days later, and against the views that they
gained in these days.

Baselines come from earlier half hours, or earlier months, only.

Cross-validation: each subreddit (of a single one, each day) and each month is left out once, the
constants are chosen on the rest, and the differences from each rival are given with intervals of
paired blocks: five half hours, in which about the same posts are ranked, or a month. Their lower
bounds must be above -0.005, and above 0 for the raw count and the base score. The reference of an
item is its last count. The gained views of a video are shown without a requirement.

    python benchmarks/ranking.py [DATA_FOLDER]
"""

from __future__ import annotations

import sys

from _rank_reddit import rank_reddit
from _rank_youtube import rank_youtube
from _report import finish, read_arguments


def main() -> int:
    """Measure, print tables and one JSON object."""
    data = read_arguments(__doc__)
    reddit, reddit_held = rank_reddit(data)
    youtube, youtube_held = rank_youtube(data)
    return finish("ranking", {**reddit, **youtube}, {**reddit_held, **youtube_held})


if __name__ == "__main__":
    sys.exit(main())
