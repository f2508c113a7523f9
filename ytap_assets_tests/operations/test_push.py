"""What is pushed is read as the folder is, once; two folders never mix."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from ytap_assets.domain.production.manifest import (
    MANIFEST_NAME,
    FileFact,
    VideoFolder,
    check_folder,
)
from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.operations import push as pushing
from ytap_assets.operations.doctor import examine
from ytap_assets.operations.due import Previewed, Previews
from ytap_assets.operations.inbox_files import (
    APPROVALS,
    SCRIPTS,
    Cursor,
    OpenedFile,
    compare_inbox,
    open_inbox,
)
from ytap_assets.operations.inboxes import open_inboxes
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.production import ALL_PROMOTIONS
from ytap_assets.operations.pushed_files import (
    Read,
    open_pushed,
    open_workspaces,
    read_facts,
    read_newest,
    write_facts,
)
from ytap_assets.settings import Settings
from ytap_assets.tables import PRODUCTION_EVENTS, PUSHED_FILES
from ytap_assets.workspaces import Approval, Workspace, Workspaces
from ytap_assets_tests.conftest import NOW
from ytap_assets_tests.effort import examples
from ytap_assets_tests.operations.test_production import (
    script,
    slice_of,
    states,
    write_lines,
    write_video,
)
from ytap_assets_tests.promoting import advance_one
from ytap_assets_tests.pushing import RUN, push

A, B, C = (json.dumps(script(name)) + "\n" for name in "abc")


@pytest.fixture
def worker(settings: Settings) -> Iterator[Platform]:
    """An installation that reads its workspaces from the lake, and has two folders to push."""
    folders = Workspaces(settings)
    for name in ("finance", "tech"):
        folders.save(Workspace(workspace_id=name, name=name, vertical="any", uid=ulid(name)))
    platform = Platform(replace(settings, workspace_source="lake"), now=lambda: NOW)
    yield platform
    platform.lake.close()


def ulid(name: str) -> str:
    return f"01M6A6FT007CVZTYRQDW4{sum(name.encode()):05}"


def edit(settings: Settings, workspace_id: str, **changes: Any) -> None:
    folders = Workspaces(settings)
    folders.save(folders.get(workspace_id).model_copy(update=changes))


def other_folder(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A copy of the data folder, as on another machine."""
    data = tmp_path_factory.mktemp("other")
    shutil.copytree(platform.settings.workspaces, data / "workspaces")
    return replace(platform.settings, data=data)


def inbox(settings: Settings, workspace_id: str = "tech", name: str = SCRIPTS) -> Path:
    return settings.workspaces / workspace_id / name


def stored(platform: Platform, file: str, workspace_id: str = "tech") -> bytes:
    """A pushed file as its newest generation has it."""
    rows = platform.lake.reader(workspace_id).read(PUSHED_FILES, wanted={"file": [file]})
    newest = rows.filter(rows["generation"] == rows["generation"].max()).sort("first_byte")
    return b"".join(newest["content"])


def test_workspaces_are_those_that_were_pushed(worker: Platform) -> None:
    assert worker.workspaces.ids() == []
    with pytest.raises(ConfigError, match="workspace push"):
        worker.workspaces.get("tech")

    push(worker, "tech")
    assert [one.workspace_id for one in worker.usable()[0]] == ["tech"]

    push(worker)
    shutil.rmtree(worker.settings.workspaces)
    assert worker.workspaces.ids() == ["finance", "tech"]
    assert worker.workspaces.get("tech").name == "tech"
    assert open_workspaces(worker.settings).get("finance").uid == ulid("finance")


def test_what_was_pushed_is_not_pushed_again(worker: Platform) -> None:
    write_lines(worker, "tech", SCRIPTS, script("one"))
    write_video(worker, "tech", "one")
    first = push(worker)
    rows, snapshot_id = worker.lake.reader("tech").read(PUSHED_FILES), worker.lake.snapshot_id()

    again = push(worker)

    assert set(first["tech"].files) == {"config.yaml", SCRIPTS, "videos/one/manifest.json"}
    assert not any(one.files or one.problems for one in again.values())
    assert worker.lake.snapshot_id() == snapshot_id
    assert worker.lake.reader("tech").read(PUSHED_FILES).equals(rows)


def test_a_script_goes_all_the_way_without_a_folder(worker: Platform) -> None:
    edit(worker.settings, "tech", approval=Approval(videos="policy"))
    write_lines(worker, "tech", SCRIPTS, script("one"))
    approval = {"script_id": "one", "actor": "Ada", "act": "approve_script"}
    write_lines(worker, "tech", APPROVALS, approval | {"at": NOW.isoformat()})
    write_video(worker, "tech", "one")
    upload = {"script_id": "one", "video_id": "ytapDemo001", "published_at": NOW.isoformat()}
    write_lines(worker, "tech", "uploads.jsonl", upload)
    push(worker)
    shutil.rmtree(worker.settings.workspaces)

    advance_one(slice_of(worker), ALL_PROMOTIONS)

    assert states(worker) == {"one": "published"}


def test_a_video_is_not_complete_before_its_files_are(worker: Platform) -> None:
    edit(worker.settings, "tech", approval=Approval(scripts="policy", videos="policy"))
    write_lines(worker, "tech", SCRIPTS, script("one"))
    folder = write_video(worker, "tech", "one")
    whole = (folder / "video.mp4").read_bytes()
    (folder / "video.mp4").write_bytes(whole[:5])
    push(worker)
    advance_one(slice_of(worker), ALL_PROMOTIONS)
    assert states(worker) == {"one": "ready_for_generation"}

    (folder / "video.mp4").write_bytes(whole)
    assert list(push(worker)["tech"].files) == ["videos/one/manifest.json"]
    advance_one(slice_of(worker), ALL_PROMOTIONS)

    assert states(worker) == {"one": "ready_for_publish"}
    (folder / "video.mp4").write_bytes(b"another one")
    assert push(worker)["tech"].files == {}


def test_an_invalid_config_is_not_pushed_and_stops_no_other(worker: Platform) -> None:
    inbox(worker.settings, "finance", "config.yaml").write_text("name: [\n", encoding="utf-8")

    pushed = push(worker)

    assert "config.yaml" in pushed["tech"].files
    assert any("config.yaml" in one for one in pushed["finance"].problems)
    assert worker.workspaces.ids() == ["tech"]


def test_an_edited_config_is_read_at_once_by_a_process_that_has_the_lake_open(
    worker: Platform,
) -> None:
    push(worker)
    assert worker.workspaces.get("tech").name == "tech"

    edit(worker.settings, "tech", name="Tech 2", status="archived")
    push(worker)

    assert worker.workspaces.get("tech").name == "Tech 2"
    assert worker.workspaces.get("tech").is_archived


@pytest.mark.parametrize("is_registered", [False, True])
@pytest.mark.parametrize("change", ["renamed", "copied", "made anew"])
def test_a_folder_of_another_workspace_is_not_pushed(
    worker: Platform, change: str, is_registered: bool
) -> None:
    write_lines(worker, "tech", SCRIPTS, script("one"))
    push(worker)
    if is_registered:
        advance_one(slice_of(worker), ALL_PROMOTIONS)
    folder = worker.settings.workspaces / "tech"
    name = "tech" if change == "made anew" else "cooking"
    if change == "renamed":
        folder.rename(folder.with_name(name))
    elif change == "copied":
        shutil.copytree(folder, folder.with_name(name))
    else:
        edit(worker.settings, "tech", uid=ulid("other"))
    write_lines(worker, name, SCRIPTS, script("two"))

    pushed = push(worker)

    assert not pushed[name].files
    assert len(pushed[name].problems) == 2
    assert worker.workspaces.ids() == ["finance", "tech"]
    assert b"two" not in stored(worker, SCRIPTS)


def test_an_inbox_needs_its_config_in_the_lake(worker: Platform) -> None:
    write_lines(worker, "tech", SCRIPTS, script("one"))
    pusher = pushing.Pusher(worker, RUN, replaces=True)

    [problem] = pusher.push_inboxes(["tech"])["tech"].problems

    assert "ytap workspace push tech" in problem
    assert worker.lake.cross_reader().count_rows(PUSHED_FILES) == 0


@pytest.mark.parametrize(
    ("mine", "others", "is_pushed"),
    [
        (A + B, A + B, True),  # the same
        (A + B, A + B + C, True),  # continued
        (A + B, A, False),  # older
        (A + B, A + C, False),  # another one
        (A + B, "", False),
    ],
)
def test_of_two_folders_one_continues_the_other_or_is_refused(
    worker: Platform,
    tmp_path_factory: pytest.TempPathFactory,
    mine: str,
    others: str,
    is_pushed: bool,
) -> None:
    inbox(worker.settings).write_text(mine, encoding="utf-8")
    push(worker)
    second = other_folder(worker, tmp_path_factory)
    inbox(second).write_text(others, encoding="utf-8")

    problems = push(worker, "tech", settings=second)["tech"].problems

    if is_pushed:
        assert problems == []
        assert stored(worker, SCRIPTS) == others.encode()
        return
    [problem] = problems
    assert SCRIPTS in problem
    assert str(worker.settings.data) in problem  # who pushed last
    assert stored(worker, SCRIPTS) == mine.encode()

    assert push(worker, "tech", settings=second, replaces=True)["tech"].problems == []
    assert stored(worker, SCRIPTS) == others.encode()
    is_continued = mine.startswith(others)
    assert bool(push(worker, "tech")["tech"].problems) == (not is_continued)


@pytest.mark.parametrize(("theirs", "is_continued"), [(A + B, True), (A + C, False)])
def test_what_another_folder_pushed_in_the_meantime_is_never_overwritten(
    worker: Platform,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    theirs: str,
    is_continued: bool,
) -> None:
    inbox(worker.settings).write_text(A, encoding="utf-8")
    push(worker)
    second = other_folder(worker, tmp_path_factory)
    inbox(second).write_text(theirs, encoding="utf-8")
    inbox(worker.settings).write_text(A + B + C, encoding="utf-8")
    store = pushing.Pusher._store

    def store_late(pusher: Any, changes: Any) -> Any:
        monkeypatch.setattr(pushing.Pusher, "_store", store)
        assert push(worker, "tech", settings=second)["tech"].problems == []
        return store(pusher, changes)

    monkeypatch.setattr(pushing.Pusher, "_store", store_late)
    problems = push(worker, "tech")["tech"].problems

    assert stored(worker, SCRIPTS) == (A + B + C if is_continued else theirs).encode()
    assert bool(problems) == (not is_continued)


def test_a_config_and_a_manifest_of_another_folder_are_not_replaced(
    worker: Platform, tmp_path_factory: pytest.TempPathFactory
) -> None:
    write_lines(worker, "tech", SCRIPTS, script("one"))
    write_video(worker, "tech", "one")
    push(worker)
    second = other_folder(worker, tmp_path_factory)
    assert push(worker, "tech", settings=second)["tech"].files == {}

    edit(second, "tech", name="Other")
    manifest = inbox(second, name="videos/one/manifest.json")
    manifest.write_bytes(manifest.read_bytes() + b" ")
    pushed = push(worker, "tech", settings=second)["tech"]

    assert pushed.files == {}
    config, video = pushed.problems
    assert ("config.yaml" in config, "manifest.json" in video) == (True, True)
    assert set(push(worker, "tech", settings=second, replaces=True)["tech"].files) == {
        "config.yaml",
        "videos/one/manifest.json",
    }


def test_what_follows_an_empty_file_is_stored(worker: Platform) -> None:
    path = inbox(worker.settings)
    for content in (A, "", B, B + C):
        path.write_bytes(content.encode())
        push(worker)
    assert stored(worker, SCRIPTS) == (B + C).encode()


def test_what_follows_a_link_that_was_refused_is_stored(worker: Platform, tmp_path: Path) -> None:
    path = inbox(worker.settings)
    path.symlink_to(tmp_path)
    push(worker)
    path.unlink()
    push(worker)
    path.write_bytes(A.encode())
    push(worker)
    assert stored(worker, SCRIPTS) == A.encode()


def test_a_folder_of_videos_that_cannot_be_read_stops_no_other(worker: Platform) -> None:
    push(worker)
    (worker.settings.workspaces / "finance" / "videos").symlink_to("videos")
    inbox(worker.settings).write_bytes(A.encode())
    assert "no video was pushed" in " ".join(push(worker)["finance"].problems)
    assert stored(worker, SCRIPTS) == A.encode()


def test_what_a_folder_lacks_stays_stored(
    worker: Platform, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One machine has the scripts, another one the videos."""
    write_lines(worker, "tech", SCRIPTS, script("one"))
    push(worker)
    second = other_folder(worker, tmp_path_factory)
    inbox(second).unlink()
    shutil.copytree(
        write_video(worker, "finance", "one"), second.workspaces / "tech" / "videos" / "one"
    )

    pushed = push(worker, "tech", settings=second)["tech"]

    assert (list(pushed.files), pushed.problems) == (["videos/one/manifest.json"], [])
    assert b"one" in stored(worker, SCRIPTS)


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_where_a_file_may_not_be_read_nothing_is_decided_without_it(
    worker: Platform, tmp_path: Path, kind: str
) -> None:
    edit(worker.settings, "tech", approval=Approval(scripts="policy", videos="policy"))
    write_lines(worker, "tech", SCRIPTS, script("one"))
    refused = inbox(worker.settings, name=APPROVALS)
    if kind == "link":
        (tmp_path / "secret").write_text("{}\n", encoding="utf-8")
        refused.symlink_to(tmp_path / "secret")
    else:
        os.mkfifo(refused)
    for _ in range(2):
        [problem] = push(worker, "tech")["tech"].problems
        assert APPROVALS in problem
    notes = advance_one(slice_of(worker), ALL_PROMOTIONS).notes
    assert APPROVALS in notes["inbox_problems"][0]
    assert states(worker) == {"one": "script_pending_review"}

    refused.unlink()
    assert push(worker, "tech")["tech"].problems == []
    advance_one(slice_of(worker), ALL_PROMOTIONS)
    assert states(worker) == {"one": "ready_for_generation"}


def test_a_long_file_is_pushed_in_several_commits_and_resumed(
    worker: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(worker)
    monkeypatch.setattr(pushing, "PART_BYTES", 100)
    monkeypatch.setattr(pushing, "COMMIT_BYTES", 250)
    text = "".join(json.dumps(script(f"s{number}")) + "\n" for number in range(9)) + '{"half'
    inbox(worker.settings).write_text(text, encoding="utf-8")
    write = Lake.write
    commits = 0

    def interrupt(lake: Lake, run: Any) -> Any:
        nonlocal commits
        commits += 1
        if commits == 4:
            raise KeyboardInterrupt
        return write(lake, run)

    with monkeypatch.context() as patch:
        patch.setattr(Lake, "write", interrupt)
        with pytest.raises(KeyboardInterrupt):
            push(worker, "tech")
    assert stored(worker, SCRIPTS) == text.encode()[:750]

    push(worker, "tech")

    assert stored(worker, SCRIPTS) == text.encode()
    rows = worker.lake.reader("tech").read(PUSHED_FILES, wanted={"file": [SCRIPTS]})
    assert set(rows["generation"]) == {1}
    assert max(map(len, rows["content"])) <= 100
    advance_one(slice_of(worker), ALL_PROMOTIONS)
    assert len(states(worker)) == 9


def test_only_new_parts_are_read(worker: Platform) -> None:
    write_lines(worker, "tech", SCRIPTS, script("one"))
    push(worker)
    advance_one(slice_of(worker), ALL_PROMOTIONS)
    with inbox(worker.settings).open("a", encoding="utf-8") as file:
        file.write(B)
    push(worker)
    asked: list[Any] = []
    cursors = _cursors(worker)
    reader = worker.lake.batch_reader(["tech"])

    def read(*arguments: Any, **options: Any) -> Any:
        rows = reader.read(*arguments, **options)
        asked.extend(rows["content"] if "content" in rows.columns else [])
        return rows

    opened = open_pushed(read, ["tech"], cursors)["tech", SCRIPTS]

    assert asked == [B.encode()]
    assert opened.tail == B.encode()
    assert compare_inbox(opened, ()).next_cursor().lines == 2
    assert asked == [B.encode()]


def _cursors(platform: Platform) -> dict[tuple[str, str], Cursor]:
    return open_inboxes([slice_of(platform)], platform.lake.batch_reader(["tech"])).cursors


def mark(platform: Platform, previews: Previews) -> tuple[str, list[str]]:
    found = previews.refresh(platform, ["tech"], lambda _: 0)["tech"]
    assert isinstance(found, Previewed)
    return found.mark, sorted(found.preview.events)


def test_a_push_is_noticed_and_nothing_else_is_looked_at_again(
    worker: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(worker)
    previews = Previews()
    first = mark(worker, previews)
    with monkeypatch.context() as patch:
        patch.setattr("ytap_assets.operations.due.preview", None)
        edit(worker.settings, "finance", name="Other")
        push(worker)
        assert mark(worker, previews) == first

    write_lines(worker, "tech", SCRIPTS, script("one"))
    assert mark(worker, previews) == first
    push(worker)
    second = mark(worker, previews)
    assert second != first
    assert second[1] == ["submit_scripts"]
    advance_one(slice_of(worker), ALL_PROMOTIONS)
    third = mark(worker, previews)
    write_video(worker, "tech", "one")
    push(worker)
    assert mark(worker, previews)[0] != third[0]


def test_a_check_up_reads_what_was_pushed(worker: Platform) -> None:
    write_lines(worker, "tech", SCRIPTS, script("one"), "{not json\n")
    push(worker)
    shutil.rmtree(worker.settings.workspaces)

    found = {one.subject: one for one in examine(worker.settings, now=NOW)}

    assert "line 2" in found["inbox tech/scripts.jsonl"].detail
    assert "workspaces" not in found
    worker.settings.workspaces.mkdir()


def test_rows_without_a_pushed_config_are_told(worker: Platform) -> None:
    in_folder = Platform(replace(worker.settings, workspace_source="folder"), now=lambda: NOW)
    write_lines(worker, "tech", SCRIPTS, script("one"))
    advance_one(slice_of(in_folder), ALL_PROMOTIONS)
    in_folder.lake.close()

    found = {one.subject: one.detail for one in examine(worker.settings, now=NOW)}

    assert "ytap workspace push tech" in found["rows of tech"]
    assert "ytap workspace push --all" in found["workspaces"]


def test_a_cursor_of_the_folder_goes_on_in_the_lake_and_back(worker: Platform) -> None:
    """The setting can be changed at any time: no line counts twice."""
    in_folder = Platform(replace(worker.settings, workspace_source="folder"), now=lambda: NOW)
    inbox(worker.settings).write_text(A + B[:20], encoding="utf-8")
    advance_one(slice_of(in_folder), ALL_PROMOTIONS)
    push(worker)
    inbox(worker.settings).write_text(A + B + C[:9], encoding="utf-8")
    push(worker)
    advance_one(slice_of(worker), ALL_PROMOTIONS)
    inbox(worker.settings).write_text(A + B + C, encoding="utf-8")

    advance_one(slice_of(in_folder), ALL_PROMOTIONS)
    in_folder.lake.close()

    assert set(states(worker)) == {"a", "b", "c"}
    cursor = _cursors(worker)["tech", SCRIPTS]
    assert (cursor.generation, cursor.lines, cursor.repeated) == (1, 3, 0)
    submitted = worker.lake.reader("tech").read(
        PRODUCTION_EVENTS, wanted={"type": ["script_submitted"]}
    )
    assert submitted.height == 3


ENDS = st.sampled_from(["\n", "\r\n", "\r", "\n\n"])
LINES = st.sampled_from([A.strip(), B.strip(), "{no", "[]", "\ufeff", "x" * 30])


@effort(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(25))
@given(data=st.data())
def test_what_is_read_of_the_lake_is_what_is_read_of_the_folder(
    worker: Platform, monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    """A file grows, is cut, rewritten and replaced; runs read it now and then."""
    monkeypatch.setattr(pushing, "PART_BYTES", 16)
    folder = worker.settings.workspaces / "tech"
    path = folder / SCRIPTS
    path.unlink(missing_ok=True)
    rows: list[dict[str, Any]] = []
    pusher = pushing.Pusher(worker, RUN)
    read = _read_of(rows)
    cursors = {"folder": Cursor(), "lake": Cursor()}
    content = b""
    for _ in range(data.draw(st.integers(1, 6))):
        lines = data.draw(st.lists(st.tuples(LINES, ENDS), max_size=4))
        more = "".join(line + end for line, end in lines).encode()
        kept = data.draw(st.sampled_from([len(content), len(content), 0, 7]))
        content = content[:kept] + more[: data.draw(st.integers(0, len(more)))]
        path.write_bytes(content)
        newest = _newest(rows)
        change = pusher._compare_file(("tech", SCRIPTS), newest, 40)
        while isinstance(change, pushing._Change):
            rows += [{**row, "seq": len(rows) + n} for n, row in enumerate(change.rows, 1)]
            change = pusher._compare_file(("tech", SCRIPTS), _newest(rows), 40)
        assert change is None
        if not rows:
            continue
        if data.draw(st.booleans()):
            here = open_inbox(folder, SCRIPTS, cursors["folder"])
            there = open_pushed(read, ["tech"], {("tech", SCRIPTS): cursors["lake"]})
            assert _facts(there["tech", SCRIPTS]) == _facts(here)
            for place, opened in (("folder", here), ("lake", there["tech", SCRIPTS])):
                cursors[place] = compare_inbox(opened, ()).next_cursor()
            assert replace(cursors["lake"], stamp="") == replace(cursors["folder"], stamp="")


@pytest.mark.parametrize(
    "facts",
    [None, "", "{", "[]", '{"found": {"v": [1]}, "refused": {}}', '{"found": {}, "refused": []}'],
)
def test_facts_of_another_form_refuse_the_video(facts: str | None) -> None:
    """A lake that was restored may hold anything."""
    folder = read_facts(b"{}", facts)
    assert check_folder("one", folder) == (None, [folder.refused[MANIFEST_NAME]])


@given(
    found=st.dictionaries(st.text(), st.tuples(st.integers(0, 2**62), st.none() | st.text())),
    refused=st.dictionaries(st.text(), st.text()),
)
def test_facts_are_read_as_they_were_written(
    found: dict[str, tuple[int, str | None]], refused: dict[str, str]
) -> None:
    facts = {name: FileFact(*fact) for name, fact in found.items()}
    folder = VideoFolder(b"{}", facts, refused)
    assert read_facts(b"{}", write_facts(folder)) == folder


def _newest(rows: list[dict[str, Any]]) -> Any:
    return read_newest(_read_of(rows), [SCRIPTS]).get(("tech", SCRIPTS))


def _facts(opened: OpenedFile) -> tuple[Any, ...]:
    return opened.cursor.generation, opened.cursor.size_bytes, opened.tail, opened.problem


def _read_of(rows: list[dict[str, Any]]) -> Read:
    def read(
        table: Any, *, columns: Any, wanted: Mapping[str, Any] | None = None, seqs: Any = None
    ) -> Any:
        frame = table.frame(rows)
        if wanted:
            frame = frame.filter(frame["file"].is_in(list(wanted["file"])))
        if seqs is not None:
            frame = frame.filter(frame["seq"].is_in(list(seqs)))
        return frame.select(columns)

    return read
