"""Which items tell the same story, day by day, under ids that stay.

Find the room you need:

- ``grouping``      the public face: a workspace's items into stories (`group_stories`).
- ``terms``         titles into weighted words and phrases.
- ``common_words``  how common words are in titles; data.
- ``serials``       what sets the parts of a series apart.
- ``clustering``    groups of titles into larger ones, best first.
- ``pairs``         two titles, as one number (`score_pairs`).
- ``identity``      what is one story before any title is read, names and former names, and why
                    each item joined.
"""

from __future__ import annotations

from ytap_assets.domain.stories.clustering import Rules
from ytap_assets.domain.stories.grouping import STORY_MEMBERS, StoryOptions, group_stories
from ytap_assets.domain.stories.identity import rename_stories
from ytap_assets.domain.stories.pairs import score_pairs

__all__ = [
    "STORY_MEMBERS",
    "Rules",
    "StoryOptions",
    "group_stories",
    "rename_stories",
    "score_pairs",
]
