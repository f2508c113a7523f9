"""From labelled texts of one's own to a reason in the scores: the script's file is a model."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from ytap_assets.operations.trends import spam_model
from ytap_assets.settings import Settings
from ytap_assets.workspaces import parse_workspace

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_spam_model.py"
COMMENTS = (
    "\ufeffCOMMENT_ID,CONTENT,CLASS\r\n"
    '1,"subscribe to my channel,\r\nplease",1\r\n'
    "2,please check out my channel\ufeff,1\r\n"
    "3,what a lovely song,0\r\n"
    "4,the robot dances and dances,0\r\n"
)
CONFIG = "name: Tech\nvertical: technology\nspam: {model: mine.json}\n"


Train = Callable[..., tuple[int, str, str]]


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Train:
    """Run the script in this process; its exit code, what it says, and its errors."""

    def run(*arguments: Path | str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
        code: str | int | None = 0
        try:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        except SystemExit as ended:
            code = ended.code
        assert isinstance(code, int)
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def comments(tmp_path: Path) -> Path:
    path = tmp_path / "comments.csv"
    path.write_text(COMMENTS, encoding="utf-8", newline="")
    return path


def test_the_file_it_writes_is_a_workspaces_model(
    train: Train, comments: Path, settings: Settings
) -> None:
    code, told, errors = train(comments, "--out", settings.store / "models" / "mine.json")
    assert code == 0, errors
    assert "read     4 texts, 2 of them spam" in told
    model = spam_model(settings, parse_workspace("tech", CONFIG, origin="here"))
    assert model is not None
    spam, other = model.log_odds(pl.Series(["check out my channel", "a lovely robot"]))
    assert spam > 0 > other


def test_the_same_texts_give_the_same_bytes(comments: Path, tmp_path: Path) -> None:
    # Two processes, in each of which sets and dictionaries have another order.
    for name in ("a.json", "b.json"):
        command = [sys.executable, str(SCRIPT), str(comments.parent), "--out", name]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_titles_assumed_to_be_no_spam_lower_the_probability_of_spam(
    train: Train, comments: Path, tmp_path: Path
) -> None:
    titles = tmp_path / "titles" / "t.csv"
    titles.parent.mkdir()
    titles.write_text("title\nplease check the lovely channel\n", encoding="utf-8")
    _, told, _ = train(comments, "--out", tmp_path / "m.json", "--no-spam", titles)
    assert "read     5 texts, 2 of them spam" in told
    usual = tmp_path / "usual.json"
    train(comments, "--out", usual, "--no-spam", titles, "--spam-share", "0.4")
    biases = [json.loads(path.read_text())["bias"] for path in (tmp_path / "m.json", usual)]
    assert biases[0] < biases[1] - 5000  # Among titles spam is rare: 0.0002, not 0.4.


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("CONTENT,KIND\nx,1\n", "no column class or label"),
        ("TEXTS,CLASS\nx,1\n", "no column content or text"),
        ("CONTENT,CLASS\nx,yes\n", "record 2: class 'yes' is neither 0 nor 1"),
        ("CONTENT,CLASS\nx,1\n", "both spam and other texts"),
        ("", "both spam and other texts"),
    ],
)
def test_a_file_that_cannot_be_learned_from_is_refused(
    train: Train, text: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text, encoding="utf-8")
    code, _, errors = train(path, "--out", tmp_path / "m.json")
    assert code == 2
    assert said in errors
    assert not (tmp_path / "m.json").exists()
