from __future__ import annotations

from ytap_assets.domain.production.manifest import parse_manifest
from ytap_assets.domain.production.records import Dossier, iter_records, read_dossiers
from ytap_assets_tests.domain.production.worlds import World, act, hours, submission, video_folder


def test_dossiers_hold_what_the_log_says_beyond_the_records() -> None:
    world = World(
        submissions=[submission(), submission("two", body=None, segments=["A", {"text": "B"}])],
        acts=[act("one", "approve_script", hours(1))],
        folders={"one": video_folder()},
    )
    world.settle()
    manifest = parse_manifest(video_folder().manifest).sha256
    one, two = Dossier("First this, then that.", manifest), Dossier("A\nB", None)
    assert read_dossiers(world.log.reverse()) == {"one": one, "two": two}
    assert read_dossiers(world.log, ["two", "three"]) == {"two": two}
    assert world.evidence().dossiers == {"one": one, "two": two}


def test_the_longest_waiting_record_comes_first() -> None:
    late = submission("a", created_at=hours(2).isoformat())
    world = World(submissions=[late, submission("z"), submission("y")])
    world.settle()
    waiting = iter_records(world.evidence().records, "script_pending_review")
    assert [record.script_id for record in waiting] == ["y", "z", "a"]
