"""Which items are about the same story, day by day, under ids that stay.

- ``grouping``    the public face: items into stories (`group_stories`), and their ids.
- ``clustering``  groups of titles into larger ones, best first; two titles (`score_pairs`).
- ``topics``      topics that exist already: scripts, and stories of a day (`find_same_topics`).
- ``terms``       titles into weighted words and phrases; how common words are in titles.
- ``serials``     what sets the parts of a series apart.
- ``numerals``    how titles write numbers and days.
"""

from __future__ import annotations

from ytap_assets.domain.stories.clustering import Rules, score_pairs
from ytap_assets.domain.stories.grouping import (
    STORY_MEMBERS,
    StoryOptions,
    group_stories,
    rename_stories,
)
from ytap_assets.domain.stories.topics import find_same_topics, read_titles

__all__ = [
    "STORY_MEMBERS",
    "Rules",
    "StoryOptions",
    "find_same_topics",
    "group_stories",
    "read_titles",
    "rename_stories",
    "score_pairs",
]
