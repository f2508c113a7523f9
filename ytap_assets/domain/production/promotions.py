"""The registry of promotions: a sensor is made of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ytap_assets.domain.production.decide import (
    decide_clearances,
    decide_generation,
    decide_publications,
    decide_submissions,
    decide_video_reviews,
)
from ytap_assets.domain.production.events import Event
from ytap_assets.domain.production.evidence import Evidence
from ytap_assets.domain.production.states import (
    PUBLISHED,
    READY_FOR_GENERATION,
    READY_FOR_PUBLISH,
    SCRIPT_PENDING_REVIEW,
    VIDEO_PENDING_REVIEW,
)


class Decide(Protocol):
    """A promotion's rule: the same evidence gives the same event ids, whenever it is asked."""

    def __call__(self, evidence: Evidence, *, now: datetime) -> list[Event]:
        """The events that follow from the evidence, in order."""


@dataclass(frozen=True)
class Promotion:
    """One promotion.

    Attributes:
        name: Its name; events say ``sensor:NAME``.
        from_state: The state scripts wait in; None for the inbox.
        to_state: The state it leads to.
        decide: From evidence to events.
        reads: The fields of `Evidence` it needs beside records and rules.
        description: What it does, in one sentence.
    """

    name: str
    from_state: str | None
    to_state: str
    decide: Decide
    reads: tuple[str, ...]
    description: str


PROMOTIONS: Mapping[str, Promotion] = {
    promotion.name: promotion
    for promotion in (
        Promotion(
            "submit_scripts",
            None,
            SCRIPT_PENDING_REVIEW,
            decide_submissions,
            ("submissions",),
            "Submits the scripts of the inbox for review.",
        ),
        Promotion(
            "start_generation",
            SCRIPT_PENDING_REVIEW,
            READY_FOR_GENERATION,
            decide_generation,
            ("decisions", "contexts"),
            "Moves approved scripts to generation when all their gates are open.",
        ),
        Promotion(
            "review_videos",
            READY_FOR_GENERATION,
            VIDEO_PENDING_REVIEW,
            decide_video_reviews,
            ("decisions", "contexts", "folders"),
            "Submits videos with a complete manifest for review.",
        ),
        Promotion(
            "clear_videos",
            VIDEO_PENDING_REVIEW,
            READY_FOR_PUBLISH,
            decide_clearances,
            ("decisions", "contexts", "folders"),
            "Moves approved videos to publishing when all their gates are open.",
        ),
        Promotion(
            "confirm_publications",
            READY_FOR_PUBLISH,
            PUBLISHED,
            decide_publications,
            ("decisions", "uploads", "seen_videos"),
            "Marks videos as published when the upload log or the channel's feed shows them.",
        ),
    )
}
"""Every promotion by name, in the order in which a script meets them."""
