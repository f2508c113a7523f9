from __future__ import annotations

from ytap_assets.domain.production.manifest import parse_manifest
from ytap_assets.domain.production.records import (
    ScriptContext,
    fold_events,
    iter_records,
    read_contexts,
)
from ytap_assets_tests.domain.production.worlds import (
    World,
    decided,
    hours,
    submission,
    video_folder,
)


def test_contexts_hold_what_the_log_says_beyond_the_records() -> None:
    world = World(
        submissions=[submission(), submission("two", body=None, segments=["A", {"text": "B"}])],
        decisions=[decided("one", "approve_script", hours(1))],
        folders={"one": video_folder()},
    )
    world.settle()
    manifest = parse_manifest(video_folder().manifest).sha256
    one, two = ScriptContext("First this, then that.", manifest), ScriptContext("A\nB", None)
    assert read_contexts(world.log.reverse()) == {("tech", "one"): one, ("tech", "two"): two}
    assert world.evidence().contexts == {"one": one, "two": two}


def test_the_longest_waiting_record_comes_first() -> None:
    late = submission("a", created_at=hours(2).isoformat())
    world = World(submissions=[late, submission("z"), submission("y")])
    world.settle()
    waiting = iter_records(fold_events(world.log))
    assert [record.script_id for _, record in waiting] == ["y", "z", "a"]
    in_review = world.evidence().waiting["script_pending_review"]
    assert [record.script_id for record in in_review] == ["y", "z", "a"]
