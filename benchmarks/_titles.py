"""The real titles of a data folder, and any number of synthetic ones made of them.

Belongs here: what several benchmarks of titles read. Does not belong here: measurements.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

from ytap_assets.errors import ImportRefusedError
from ytap_assets.sources.importing import read_trend_file

PARTS = {"hacker_news": "hn", "reddit": "reddit", "youtube_*": "youtube"}
YEARLESS_UP_TO = date(2017, 12, 31)
NEAR_COPIES = 0.25
NEW_WORDS = 0.06
RUN = 2
_SYLLABLES = "ba be bo da do ka ki ko la le li lo ma mi mo na ne no ra ri ro sa si ta to va vi zu"


def read_titles(data: Path) -> pl.DataFrame:
    """The distinct titles of all recorded trend files: ``title``, ``source``."""
    frames = [pl.DataFrame(schema={"title": pl.String, "source": pl.String})]
    for part, source in PARTS.items():
        for path in sorted(path for path in data.glob(f"{part}/**/*") if path.is_file()):
            rows = _read_file(path, source)
            if rows is not None:
                frames.append(rows.select("title", "source"))
    return pl.concat(frames).unique(maintain_order=True)


def read_videos(data: Path) -> pl.DataFrame:
    """The videos of recorded YouTube files that name their channels: ``channel``, ``title``."""
    frames = [pl.DataFrame(schema={"channel": pl.String, "item_id": pl.String, "title": pl.String})]
    for path in sorted(path for path in data.glob("youtube_*/**/*") if path.is_file()):
        rows = _read_file(path, "youtube")
        if rows is not None:
            channel = pl.coalesce("channel_id", "channel_title").alias("channel")
            frames.append(rows.select(channel, "item_id", "title"))
    videos = pl.concat(frames).drop_nulls().unique("item_id", keep="first", maintain_order=True)
    return videos.select("channel", "title")


def make_titles(real: list[str], count: int, seed: int = 1) -> list[str]:
    """Synthetic titles made of real ones, with a vocabulary that continues to grow.

    Three of four are as long as a real title and made of runs of `RUN` words of real titles, so
    that words and phrases have the same frequencies. A share `NEW_WORDS` of their words is replaced
    by made-up names. One of four is a near copy of an earlier title, with one word replaced.
    """
    chance = random.Random(seed)
    words = [words for words in (title.split() for title in real) if words]
    text = [word for title in words for word in title]
    names = _names(chance)
    made: list[list[str]] = []
    for _ in range(count):
        if made and chance.random() < NEAR_COPIES:
            title = list(chance.choice(made))
            title[chance.randrange(len(title))] = chance.choice(text)
        else:
            title = []
            for _ in range(0, len(chance.choice(words)), RUN):
                start = chance.randrange(len(text))
                title += text[start : start + RUN]
            title = [next(names) if chance.random() < NEW_WORDS else word for word in title]
        made.append(title)
    return [" ".join(title) for title in made]


def _names(chance: random.Random) -> Iterator[str]:
    syllables = _SYLLABLES.split()
    while True:
        yield "".join(chance.choices(syllables, k=4)).capitalize()


def _read_file(path: Path, source: str) -> pl.DataFrame | None:
    for observed_on in (None, YEARLESS_UP_TO):
        try:
            fetch = read_trend_file(
                path,
                workspace_id="titles",
                source=source,
                observed_on=observed_on,
                now=datetime.now(UTC),
                run_id="titles",
            )
        except ImportRefusedError:
            continue
        return fetch.rows
    return None
