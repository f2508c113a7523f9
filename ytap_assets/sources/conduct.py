"""How a session's HTTP clients behave: their manners, in one value.

Belongs here: what can be tuned. Does not belong here: acting on it (`client`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from ytap_assets.sources.bodies import DEFAULT_LIMIT
from ytap_assets.sources.http.cache import KeptAnswers
from ytap_assets.sources.http.safety import Redactor
from ytap_assets.sources.http.state import QuotaLedger
from ytap_assets.sources.pacing import Pacer, RetryPolicy
from ytap_assets.sources.parking import ParkedHosts


@dataclass(frozen=True)
class Patience:
    """For how long a host is waited for, in seconds.

    Attributes:
        connect_s: Until it takes the call.
        silence_s: Between two pieces of its answer.
        answer_s: Until the answer is whole, however steadily it drips.
    """

    connect_s: float = 10.0
    silence_s: float = 20.0
    answer_s: float = 90.0


@dataclass(frozen=True)
class Conduct:
    """How the client behaves; one value for all the clients of a session.

    Attributes:
        hosts: The only hosts that are asked.
        clock: The present, for when an answer arrived.
        sleep: Waits so many seconds.
        pacer: Spaces the requests; None asks as fast as it can, as a replay does.
        retries: How often a transient failure is tried again.
        patience: How long an answer may take.
        redactor: Knows the secrets that were sent.
        kept: Earlier answers, so that less is asked; None to ask for everything anew.
        parked: Remembers hosts that asked to be left alone for long; None forgets.
        ledger: Counts what is spent of the platforms' allowances; None counts nothing, as a
            replay costs nothing.
        body_limit: The size cap, in decompressed bytes.
        user_agent: Who is asking.
    """

    hosts: frozenset[str]
    clock: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[None]]
    pacer: Pacer | None = None
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    patience: Patience = field(default_factory=Patience)
    redactor: Redactor = field(default_factory=Redactor)
    kept: KeptAnswers | None = None
    parked: ParkedHosts | None = None
    ledger: QuotaLedger | None = None
    body_limit: int = DEFAULT_LIMIT
    user_agent: str = "python:ytap-assets:0.1.0"
