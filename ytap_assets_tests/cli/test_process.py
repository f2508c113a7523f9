"""The command line as a process: what it loads, what it does to a pipe, how it ends."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from ytap_assets.cli.common import describe_error
from ytap_assets.cli.ui import dagster_command, dagster_environment
from ytap_assets.errors import ConfigError
from ytap_assets.operations.platform import Platform
from ytap_assets.settings import Settings
from ytap_assets_tests.cli.conftest import Ytap

HEAVY = {"dagster", "polars", "pandera", "pydantic", "pyarrow", "yaml", "rich", "httpx"}
PROBE = """
import sys
from ytap_assets.cli import app
try:
    app(sys.argv[1:], prog_name="ytap")
finally:
    print(" ".join(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
"""
RUN = "from ytap_assets.cli import main; main()"
# What a shell starts in the background does not hear Ctrl-C, and neither do its children.
LISTENING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"


def start(
    data: Path, code: str, *arguments: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "YTAP_DATA": str(data), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("arguments", [["--help"], ["sql", "--help"], ["sql", "select 1"]])
def test_a_quick_command_loads_nothing_heavy(tmp_path: Path, arguments: list[str]) -> None:
    done = start(tmp_path, PROBE, *arguments)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stderr.split())
    assert "click" in loaded
    assert not loaded & HEAVY


def test_help_loads_no_database(tmp_path: Path) -> None:
    assert "duckdb" not in start(tmp_path, PROBE, "--help").stderr.split()


def test_sql_on_a_workspace_loads_no_dagster(platform: Platform, ytap: Ytap) -> None:
    done = start(ytap.data, PROBE, "sql", "from videos", "-w", "tech")
    assert done.returncode == 0, done.stderr
    assert not set(done.stderr.split()) & (HEAVY - {"pyarrow"})


def test_tables_that_are_not_named_are_not_copied(platform: Platform, ytap: Ytap) -> None:
    done = start(ytap.data, PROBE, "sql", "show tables", "-w", "tech")
    assert done.returncode == 0, done.stderr
    assert not set(done.stderr.split()) & HEAVY  # pyarrow carries rows


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    environment = {**os.environ, "YTAP_DATA": str(tmp_path)}
    statement = "select unnest(range(200000)) as n"
    with subprocess.Popen(
        [sys.executable, "-c", RUN, "sql", statement, "-f", "csv"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "n\n"
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_an_output_that_is_full_is_told_in_a_line(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", RUN, "sql", "select unnest(range(100000))", "-f", "csv"],
            env={**os.environ, "YTAP_DATA": str(tmp_path)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("error: the output or a file: No space left on device;")
    assert done.stderr.count("\n") == 1


def test_ctrl_c_ends_a_statement_in_a_line(ytap: Ytap) -> None:
    endless = "select 1; select count(*) from range(1000000000000) t(a) where a % 7 = 3"
    with subprocess.Popen(
        [sys.executable, "-c", LISTENING + RUN, "sql", endless],
        env={**os.environ, "YTAP_DATA": str(ytap.data), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        watchdog = threading.Timer(60, process.kill)  # or a failure would last as long as it runs
        watchdog.start()
        assert process.stdout is not None
        assert any("(1 row)" in line for line in process.stdout)  # now the second is run
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert process.stderr.read() == "error: interrupted; earlier commits are kept\n"
        watchdog.cancel()
    assert process.returncode == 130


ENDLESS = "select count(*) from range(1000000000000) t(a) where a % 7 = 3"
STALLS = "select a from range(1000000000000) t(a) where a < 5000 or a % 1000000007 = 6"


@pytest.mark.parametrize("statement", [ENDLESS, STALLS])
def test_a_statement_ends_when_its_time_is_up(ytap: Ytap, statement: str) -> None:
    done = start(ytap.data, RUN, "sql", statement, "-f", "csv", YTAP_SQL_SECONDS="1")
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("error: the statement ran for longer than 1 seconds")
    assert "YTAP_SQL_SECONDS" in line


def test_a_statement_that_does_not_hear_ends_all_the_same(tmp_path: Path) -> None:
    code = "import ytap_assets.cli.sql as module; module._GRACE_S = 0\n" + RUN
    deaf = "select 1; select length(lpad('x', 2000000000, 'y'))"
    done = start(tmp_path, code, "sql", deaf, "-f", "csv", YTAP_SQL_SECONDS="1")
    assert (done.returncode, done.stdout) == (1, "1\n1\n")
    [line] = done.stderr.splitlines()
    assert "YTAP_SQL_SECONDS" in line


def test_a_shell_goes_on_after_a_statement_whose_time_was_up(ytap: Ytap) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN, "shell", "-f", "csv"],
        env={**os.environ, "YTAP_DATA": str(ytap.data), "YTAP_SQL_SECONDS": "1"},
        input=f"{ENDLESS};\nselect 2 as two;\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "two\n2\n")
    assert "YTAP_SQL_SECONDS" in done.stderr


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux counts it")
@pytest.mark.parametrize(
    "statement",
    [
        "select list(a) from range(1000000000) t(a)",
        "select to_json(r) from (select range(30000000) r)",
        "select repeat('x', 4000000000)",
        "select repeat('x', 150000000), repeat('y', 150000000), repeat('z', 150000000)",
    ],
)
def test_a_statement_takes_no_more_memory_than_it_may(ytap: Ytap, statement: str) -> None:
    # Not `getrusage`, which counts what the process that started this one had in memory.
    report = """
import atexit, re
def peak():
    with open("/proc/self/status") as status:
        print("peak", re.search(r"VmHWM:\\s+(\\d+)", status.read())[1])
atexit.register(peak)
"""
    done = start(ytap.data, f"{report}\n{RUN}", "sql", statement, YTAP_SQL_MEMORY="64MiB")
    assert done.returncode == 1, done.stdout[-100:]
    [line] = done.stderr.splitlines()
    assert "YTAP_SQL_MEMORY" in line
    assert int(done.stdout.split()[-1]) < 600_000


@pytest.mark.parametrize("arguments", [("sql", "-"), ("shell",), ("sql", "select '\udcff'")])
def test_what_is_no_text_is_told_in_a_line(ytap: Ytap, arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        env={**os.environ, "YTAP_DATA": str(ytap.data)},
        input=b"select '\xff';\n",
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    errors = [line for line in done.stderr.decode().splitlines() if not line.startswith("  ")]
    assert errors[-1] == "error: the statement is not UTF-8 text; save it as UTF-8"
    assert "Traceback" not in done.stderr.decode()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--nope"], "No such option"),
        (["nope"], "No such command 'nope'"),
        (["sql"], "Missing argument 'STATEMENT'"),
        (["sql", "select 1", "-f", "xml"], "Invalid value for '--format' / '-f': 'xml' is not"),
        (["script", "nope"], "No such command 'nope'"),
        (["ui", "--port", "70000"], "Invalid value for '--port'"),
        (["materialize", "*"], "give --workspace or --all-workspaces"),
    ],
)
def test_misuse_is_told_in_a_line(ytap: Ytap, arguments: list[str], line: str) -> None:
    result = ytap(*arguments)
    assert result.exit_code == 2
    [told] = result.stderr.splitlines()
    assert told.startswith(f"error: {line}")
    assert told.endswith(" --help`")


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    """An error as it arrives where it is caught."""
    try:
        raise error from cause
    except type(error) as found:
        return found


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.EROFS, "Read-only file system", "/x/y"), "/x/y: Read-only file system; cho"),
        (sqlite3.OperationalError("database is locked"), "cannot be used: database is locked; "),
        (duckdb.Error("database is locked"), "catalog.sqlite is locked by another program"),
        (duckdb.IOException("no such file x.parquet"), "a file of the lake is missing or damaged"),
        (ConfigError("wrong: correct it"), "wrong: correct it"),
    ],
)
def test_an_error_of_a_file_is_told_also_where_a_library_wrapped_it(
    error: Exception, line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("YTAP_DATA", str(tmp_path))
    for found in (error, raised(RuntimeError("wrapped"), error)):
        told = describe_error(found)
        assert told is not None
        assert line in told


def test_a_defect_keeps_its_traceback() -> None:
    assert describe_error(ZeroDivisionError("division by zero")) is None
    assert describe_error(raised(KeyError("x"), ValueError("y"))) is None
    assert describe_error(BrokenPipeError(errno.EPIPE, "Broken pipe")) is None


def test_a_terminal_that_knows_few_characters(tmp_path: Path) -> None:
    done = start(tmp_path, RUN, "sql", "select '漢' as k", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "\\u6f22" in done.stdout


def test_the_version(tmp_path: Path) -> None:
    assert start(tmp_path, RUN, "--version").stdout.startswith("ytap-assets ")


def test_without_arguments_it_explains_itself(ytap: Ytap) -> None:
    result = ytap()
    assert result.exit_code == 2
    assert "materialize" in result.output


@pytest.mark.parametrize(
    "command",
    [
        ["materialize"], ["sql"], ["shell"], ["attach"], ["summary"], ["maintain"], ["backup"],
        ["restore"], ["doctor"], ["ui"], ["completion"], ["import", "trends"],
        ["workspace", "create"], ["workspace", "list"], ["workspace", "show"],
        ["workspace", "archive"], ["script", "list"], ["script", "show"], ["script", "approve"],
        ["script", "reject"], ["script", "send-back"], ["script", "cancel"],
    ],
)  # fmt: skip
def test_every_command_has_examples(nowhere: Ytap, command: list[str]) -> None:
    text = nowhere.ok(*command, "--help")
    assert f"    ytap {' '.join(command)}" in text.split("Examples:")[1].replace('eval "$(', "  ")


@pytest.fixture
def free_port() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return str(taken.getsockname()[1])


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_the_web_interface_is_dagsters_own_at_home_on_this_machine(
    ytap: Ytap, monkeypatch: pytest.MonkeyPatch, free_port: str
) -> None:
    started: list[tuple[list[str], str]] = []

    def note_start(_path: str, command: list[str], environment: dict[str, str]) -> None:
        started.append((command, environment["DAGSTER_HOME"]))

    monkeypatch.setattr(os, "execve", note_start)
    ytap.ok("ui", "--port", free_port)
    [(command, home)] = started
    assert command[4:7] == ["-m", "dagster", "dev"]
    assert command[command.index("-h") + 1] == "127.0.0.1"
    assert command[command.index("-p") + 1] == free_port
    assert (Path(home) / "dagster.yaml").is_file()
    assert Path(home) == ytap.data / "dagster_home"
    assert ytap("ui", "--port", "70000").exit_code == 2


@pytest.mark.parametrize("python_path", [None, "/nonexistent"])
def test_the_web_interface_imports_nothing_from_the_current_folder(
    tmp_path: Path, python_path: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, home = tmp_path / "here", tmp_path / "home"
    here.mkdir()
    home.mkdir()
    for name in ("dagster", "duckdb", "sqlite3", "ytap_assets"):
        (here / f"{name}.py").write_text("raise SystemExit('imported from the current folder')")
    if python_path is None:
        monkeypatch.delenv("PYTHONPATH", raising=False)
    else:
        monkeypatch.setenv("PYTHONPATH", f":{python_path}")
    command, environment = dagster_command(home, 3000), dagster_environment(home, "live")
    assert command[command.index("--working-directory") + 1] == str(home)
    first = [*command[: command.index("dagster")], "dagster", "--version"]
    child = [sys.executable, "-c", "import duckdb, sqlite3, sys; print(sys.path[0])"]
    for one in (first, child):
        done = subprocess.run(
            one, cwd=here, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert (done.stdout.strip() == str(home)) == (python_path is not None)


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_the_runs_of_the_web_interface_have_the_transport_that_it_announced(
    ytap: Ytap, monkeypatch: pytest.MonkeyPatch, free_port: str
) -> None:
    """Also where the data folder remembers none, or another, when a run begins."""
    transports: list[str] = []

    def begin_runs(_path: str, _command: list[str], environment: dict[str, str]) -> None:
        file = Settings.from_env(environment).transport_file
        file.unlink()
        transports.append(Settings.from_env(environment).transport)
        file.write_text("live", encoding="ascii")
        transports.append(Settings.from_env(environment).transport)

    monkeypatch.setattr(os, "execve", begin_runs)
    replay = {"YTAP_DATA": str(ytap.data), "YTAP_TRANSPORT": "replay"}
    Settings.from_env(replay).remember_transport()
    opened = replace(ytap, transport="")("ui", "--port", free_port)
    assert "transport: replay (stored in" in opened.stderr
    assert transports == ["replay", "replay"]


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_two_web_interfaces_on_one_data_folder_are_refused(
    ytap: Ytap, monkeypatch: pytest.MonkeyPatch, free_port: str
) -> None:
    held: list[bool] = []

    def note_start(_path: str, _command: list[str], environment: dict[str, str]) -> None:
        lock = os.open(Path(environment["DAGSTER_HOME"]) / "ui.lock", os.O_RDWR)
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(lock)
        held.append(True)

    monkeypatch.setattr(os, "execve", note_start)
    ytap.ok("ui", "--port", free_port)
    assert held
    assert "another Dagster process uses" in ytap.refused(2, "ui", "--port", free_port)
