"""Make the demo's production files: scripts, videos, decisions and uploads of three workspaces.

    python scripts/make_demo_scripts.py [--data data]

Deterministic: the same content gives the same bytes. A script's topic is the page of an item that
was recorded before the script was created; anything else is an error. Each workspace's
`config.yaml` must be there; its own channel is where the videos go. The videos are stand-ins of a
few hundred bytes whose sizes and checksums are what their manifests say, but for two that are
spoiled on purpose: a checksum that is wrong, and a file that is missing. One line of one inbox is
cut in the middle.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import struct
import zlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import demo_items
import yaml
from demo_items import Item

_HERE = Path(__file__).parent
_BROKEN_LINE = "broken_line"
_Lines = list[dict[str, Any]]


def moment(day_and_time: str) -> datetime:
    """`14 08:40` as an instant of November 2026."""
    return datetime.strptime(f"2026-11-{day_and_time}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


def instant(day_and_time: str) -> str:
    """The same in ISO 8601."""
    return moment(day_and_time).strftime("%Y-%m-%dT%H:%M:%SZ")


def list_pages(content: Mapping[str, Any]) -> dict[str, tuple[str, Item]]:
    """The page of every recorded item, and the item, by its title."""
    pages = {}
    for items in [*content["charts"].values(), *content["feeds"].values()]:
        for item in items:
            watch = f"https://www.youtube.com/watch?v={demo_items.video_id(item)}"
            pages[item["t"]] = (watch, item)
    for subreddit, items in content["reddit"].items():
        for item in items:
            post = f"https://www.reddit.com{demo_items.reddit_path(item, subreddit)}"
            pages[item["t"]] = (item.get("u", post), item)
    for item in content["hn"]:
        thread = f"https://news.ycombinator.com/item?id={demo_items.hn_id(item)}"
        pages[item["t"]] = (item.get("u", thread), item)
    return pages


def find_topic(script: Mapping[str, Any], pages: Mapping[str, tuple[str, Item]]) -> str | None:
    """The page a script is about; None where it names no story.

    Raises:
        SystemExit: Its story is not recorded, or only after the script was created.
    """
    if "story" not in script:
        return None
    page, item = pages.get(script["story"], ("", None))
    seen_at = None if item is None else demo_items.first_recorded_at(item)
    if seen_at is None or seen_at >= moment(script["created"]):
        what = f"script {script['id']}: {script['story']!r}"
        raise SystemExit(f"{what} is not recorded before {script['created']}")
    return str(script.get("topic", page))


def script_line(script: Mapping[str, Any], topic: str | None) -> dict[str, Any]:
    """What a script generator writes into the inbox."""
    line = {
        "script_id": script["id"],
        "title": script["title"],
        "hook": script.get("hook"),
        "segments": script["segments"],
        "topic_url": topic,
        "generation_method": script["method"],
        "estimated_cost_usd": script.get("estimate"),
        "created_at": instant(script["created"]),
        "generator": "outline-writer 4",
    }
    return {key: value for key, value in line.items() if value is not None}


def act_lines(scripts: Iterable[Mapping[str, Any]]) -> _Lines:
    """What reviewers write into the approvals file, in order of time."""
    lines = [
        {
            "script_id": script["id"],
            "act": act["act"],
            "actor": act["by"],
            "at": instant(act["at"]),
            **({"reason": act["reason"]} if "reason" in act else {}),
        }
        for script in scripts
        for act in script.get("acts", [])
    ]
    return sorted(lines, key=lambda line: (line["at"], line["script_id"]))


def upload_lines(
    scripts: Iterable[Mapping[str, Any]], published: Mapping[str, Mapping[str, Any]], channel: str
) -> _Lines:
    """What the uploader writes into the upload log; an upload that is not public has no date."""
    lines = []
    for script in scripts:
        video_id = script.get("published") or script.get("uploaded")
        if video_id is None:
            continue
        at = instant(published[video_id]["at"]) if "published" in script else None
        line = {"script_id": script["id"], "video_id": video_id, "channel_id": channel}
        lines.append({**line, "published_at": at})
    return sorted(lines, key=lambda line: (line["published_at"] or "9", line["script_id"]))


def video_files(script: Mapping[str, Any]) -> dict[str, bytes]:
    """Stand-ins for a video's files."""
    name = script["id"].encode()
    body = b"".join(hashlib.sha256(b"%s %d" % (name, part)).digest() for part in range(8))
    spoken = enumerate([script["hook"], *script["segments"]])
    captions = "\n".join(
        f"{number + 1}\n00:00:{4 * number:02},000 --> 00:00:{4 * number + 4:02},000\n{text}\n"
        for number, text in spoken
    )
    return {
        "video.mp4": struct.pack(">I", 24) + b"ftypisom\x00\x00\x02\x00isomiso2" + body,
        "captions.srt": captions.encode(),
        "thumbnail.png": one_pixel(hashlib.sha256(name).digest()[:3]),
    }


def one_pixel(colour: bytes) -> bytes:
    """A PNG of one pixel; stored, since compressors differ in their output."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    row = b"\x00" + colour
    stored = b"\x78\x01\x01" + struct.pack("<HH", len(row), len(row) ^ 0xFFFF) + row
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", stored + struct.pack(">I", zlib.adler32(row)))
        + chunk(b"IEND", b"")
    )


def manifest(script: Mapping[str, Any], files: Mapping[str, bytes], seconds: int) -> dict[str, Any]:
    """What the maker of a video says about it."""
    video = script["video"]
    entries = [
        {
            "name": name,
            "size_bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        for name, content in files.items()
    ]
    return {
        "script_id": script["id"],
        "files": entries,
        "cost_usd": video["cost"],
        "quality_score": video["quality"],
        "duration_s": seconds,
        "completed_at": instant(video["done"]),
    }


def write_video(folder: Path, script: Mapping[str, Any], seconds: int) -> None:
    """Write a video's folder, spoiled where the script says so."""
    files = video_files(script)
    said = manifest(script, files, seconds)
    flaw = script["video"].get("flaw")
    if flaw == "checksum":
        files["video.mp4"] = files["video.mp4"][:-1] + b"!"
    if flaw == "missing":
        del files["captions.srt"]
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    text = json.dumps(said, indent=2) + "\n"
    (folder / "manifest.json").write_text(text, encoding="utf-8", newline="\n")


def write_lines(path: Path, lines: Iterable[Mapping[str, Any]], extra: Iterable[str] = ()) -> None:
    """Write JSON lines, and then lines as they are."""
    texts = [*(json.dumps(line, ensure_ascii=False) for line in lines), *extra]
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8", newline="\n")


def make_workspace(
    folder: Path,
    scripts: list[dict[str, Any]],
    content: Mapping[str, Any],
    broken: Iterable[str],
) -> None:
    """Write one workspace's production files anew."""
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    channel = config["channels"][0]["id"]
    published = {video["id"]: video for video in content["published"][folder.name]}
    pages = list_pages(content)
    submitted = sorted(scripts, key=lambda script: str(script["created"]))
    lines = [script_line(script, find_topic(script, pages)) for script in submitted]
    write_lines(folder / "scripts.jsonl", lines, broken)
    write_lines(folder / "approvals.jsonl", act_lines(scripts))
    write_lines(folder / "uploads.jsonl", upload_lines(scripts, published, channel))
    shutil.rmtree(folder / "videos", ignore_errors=True)
    for script in scripts:
        if "video" in script:
            public = published.get(script.get("published", ""), {})
            seconds = public.get("s") or script["video"]["seconds"]
            write_video(folder / "videos" / script["id"], script, seconds)


def main() -> None:
    """Read the arguments, write the files, say what was written."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=_HERE.parent / "data")
    data: Path = parser.parse_args().data
    production = yaml.safe_load((_HERE / "demo_production.yaml").read_text(encoding="utf-8"))
    content = yaml.safe_load((_HERE / "demo_content.yaml").read_text(encoding="utf-8"))
    broken = production.pop(_BROKEN_LINE)
    for workspace_id, scripts in production.items():
        cut = [broken[workspace_id]] if workspace_id in broken else []
        make_workspace(data / "workspaces" / workspace_id, scripts, content, cut)
        print(f"{workspace_id}: {len(scripts)} scripts")


if __name__ == "__main__":
    main()
