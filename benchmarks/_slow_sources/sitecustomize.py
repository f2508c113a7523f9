"""On PYTHONPATH, makes recorded answers take 50 ms, as if a server gave them."""

import asyncio
from typing import Any

from ytap_assets.sources.http.recordings import ReplayTransport

LATENCY_S = 0.05
_answer = ReplayTransport.handle_async_request


async def _answer_late(transport: ReplayTransport, request: Any) -> Any:
    await asyncio.sleep(LATENCY_S)
    return await _answer(transport, request)


ReplayTransport.handle_async_request = _answer_late  # type: ignore[assignment, method-assign]
