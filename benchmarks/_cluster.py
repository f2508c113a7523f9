"""A deployment on several hosts, on this machine: each host has a network, a name and folders.

The hosts share a PostgreSQL server, an S3 server (moto) and a broker (Redis), which are started for
the deployment. Each worker host is a network namespace behind a bridge, so its link can be cut.
Needs root, `ip`, `unshare`, `redis-server`, and the programs of a PostgreSQL server.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import httpx

ROOT = Path(__file__).parents[1]
BRIDGE, ADDRESS = "ytap-bench", "10.77.77.1"
POSTGRES_PORT, REDIS_PORT, CODE_PORT, WEB_PORT = 5477, 6377, 4277, 3977
LOCATION = "ytap_assets.definitions"
_KEYS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "swordfish"}
_PARAMETERS = (
    "connect_timeout=10&keepalives_idle=10&keepalives_interval=5&keepalives_count=3"
    "&tcp_user_timeout=25000"
)
_LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""


def find_obstacle() -> str | None:
    """Why a deployment cannot be started on this machine; None if it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [
        name for name in ("ip", "unshare", "setpriv", "redis-server") if not shutil.which(name)
    ]
    if find_postgres() is None:
        missing.append("initdb")
    return f"not installed: {', '.join(missing)}" if missing else None


def find_postgres() -> Path | None:
    """The folder of the programs of the newest PostgreSQL server."""
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None, key=lambda p: p.parent.name)


def run(*command: str | Path) -> None:
    """Run a command.

    Raises:
        subprocess.CalledProcessError: It failed; with its output.
    """
    subprocess.run([*map(str, command)], check=True, capture_output=True)


@dataclass
class Host:
    """A worker host.

    Attributes:
        name: Its name, and that of its network namespace.
        number: The last part of its address.
        folder: Its YTAP_DATA, and its log.
    """

    name: str
    number: int
    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def link(self) -> str:
        """The end of its cable at the bridge."""
        return f"yb{self.number}"

    def connect(self) -> None:
        """Make the namespace, and its link to the bridge."""
        run("ip", "netns", "add", self.name)
        run(
            "ip",
            "link",
            "add",
            self.link,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            self.name,
        )
        run("ip", "link", "set", self.link, "master", BRIDGE, "up")
        inside = ("ip", "-n", self.name)
        run(*inside, "addr", "add", f"10.77.77.{self.number}/24", "dev", "eth0")
        run(*inside, "link", "set", "eth0", "up")
        run(*inside, "link", "set", "lo", "up")

    def set_link(self, state: str) -> None:
        """Cut it off the network (`down`), or connect it again (`up`)."""
        run("ip", "link", "set", self.link, state)

    def start(self, command: Sequence[str], environment: dict[str, str]) -> None:
        """Start a program on the host, with the host's name."""
        script = f'hostname {self.name} && exec "$@"'
        inside = ["ip", "netns", "exec", self.name, "unshare", "--uts", "sh", "-c", script, "sh"]
        with (self.folder / "worker.log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    [*inside, *command], env=environment, cwd=self.folder, stdout=log, stderr=log,
                    start_new_session=True,
                )
            )  # fmt: skip

    def executes(self, run_id: str) -> bool:
        """Whether a process of the host executes a run."""
        pids = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, check=True)
        commands = []
        for pid in pids.stdout.decode().split():
            with suppress(OSError):
                commands.append(Path("/proc", pid, "cmdline").read_bytes())
        return any(run_id.encode() in command for command in commands)

    def kill(self) -> None:
        """End every process of the host at once."""
        pids = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, check=False)
        for pid in pids.stdout.split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        for process in self.processes:
            process.wait()
        self.processes.clear()


class Deployment:
    """The shared servers, the control programs and the worker hosts."""

    def __init__(
        self,
        folder: Path,
        make_workspaces: Callable[[Path], None],
        make_recordings: Callable[[Path], None],
    ) -> None:
        """Configure it; nothing is started.

        Args:
            folder: An empty folder for everything.
            make_workspaces: Fills the data folder of the control host, which pushes them.
            make_recordings: Fills the data folder of each host, which answers from them.
        """
        self.folder = folder
        self.hosts: list[Host] = []
        self._make_workspaces = make_workspaces
        self._make_recordings = make_recordings
        self._programs: dict[str, subprocess.Popen[bytes]] = {}
        self._stack = ExitStack()
        self._files = ""
        self._restart_postgres: Callable[[], None] = lambda: None

    def __enter__(self) -> Deployment:
        """Start the shared servers, make the lake, and start the control programs."""
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End everything, and remove the networks."""
        for host in self.hosts:
            host.kill()
            subprocess.run(["ip", "netns", "del", host.name], check=False, capture_output=True)
            subprocess.run(["ip", "link", "del", host.link], check=False, capture_output=True)
        for name in [*self._programs]:
            self.stop(name, signal.SIGKILL)
        self._stack.close()

    def _start(self) -> None:
        run("ip", "link", "add", BRIDGE, "type", "bridge")
        self._stack.callback(run, "ip", "link", "del", BRIDGE)
        run("ip", "addr", "add", f"{ADDRESS}/24", "dev", BRIDGE)
        run("ip", "link", "set", BRIDGE, "up")
        self._start_postgres()
        self._start_broker()
        with (self.folder / "s3.log").open("wb") as log:
            s3 = subprocess.Popen(
                [sys.executable, "-m", "ytap_assets_tests.s3_server", ADDRESS],
                cwd=ROOT, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        self._programs["s3"] = s3
        assert s3.stdout is not None
        endpoint = s3.stdout.readline().decode().strip()
        self._files = f"s3://lakes/bench?endpoint={endpoint}&region=us-east-1"
        control = self.folder / "control"
        self._make_workspaces(control)
        self._make_recordings(control)
        for name in ("dagster.yaml", "workspace.yaml"):
            text = (ROOT / "deploy" / "cluster" / name).read_text(encoding="utf-8")
            home = control / "dagster_home"
            home.mkdir(exist_ok=True)
            (home / name).write_text(text.replace("4266", str(CODE_PORT)), encoding="utf-8")
        run_in = self.environment(control)
        os.environ.update({name: run_in[name] for name in run_in if name.startswith("DAGSTER_")})
        self.ytap("lake", "create")
        self.ytap("workspace", "push", "--all")
        self.start("code")
        self._wait_for_port(CODE_PORT)
        self.start("webserver")
        self.start("daemon")
        self.wait_for_webserver()

    def _start_postgres(self) -> None:
        programs, data = find_postgres(), self.folder / "postgres"
        assert programs is not None
        data.mkdir()
        shutil.chown(data, "postgres")
        self.folder.chmod(0o755)
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        run(*as_user, programs / "initdb", "-D", data, "-A", "trust", "-U", "root", "-E", "UTF8")
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all 10.77.77.0/24 trust\n")
        options = (
            f"-c listen_addresses={ADDRESS} -c port={POSTGRES_PORT} -c max_connections=300"
            f" -c unix_socket_directories={data}"
        )
        control = [*as_user, str(programs / "pg_ctl"), "-D", str(data), "-w"]
        run(*control, "-o", options, "-l", data / "log", "start")
        self._stack.callback(run, *control, "-m", "immediate", "stop")
        self._restart_postgres = lambda: run(
            *control, "-o", options, "-l", data / "log", "-m", "fast", "restart"
        )
        for name in ("lakes", "dagster"):
            run("createdb", "-h", ADDRESS, "-p", str(POSTGRES_PORT), "-U", "root", name)

    def restart_postgres(self) -> None:
        """Restart the server; every session ends."""
        self._restart_postgres()

    def _start_broker(self) -> None:
        """Start Redis, which keeps its messages in a file."""
        self._programs["broker"] = subprocess.Popen(
            ["redis-server", "--bind", ADDRESS, "--port", str(REDIS_PORT), "--protected-mode", "no",
             "--dir", str(self.folder), "--appendonly", "yes", "--save", ""],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def environment(self, data: Path) -> dict[str, str]:
        """The variables of a host, by its data folder."""
        database = f"root@{ADDRESS}:{POSTGRES_PORT}"
        return {
            **{name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
            **_KEYS,
            "PYTHONPATH": os.pathsep.join([str(ROOT / "benchmarks" / "_slow_sources"), str(ROOT)]),
            "PYTHONSAFEPATH": "1",
            "HOME": str(data),
            "YTAP_DATA": str(data),
            "YTAP_TRANSPORT": "replay",
            "YTAP_WORKSPACES": "lake",
            "YTAP_CATALOG": f"postgresql://{database}/lakes",
            "YTAP_DATA_PATH": self._files,
            "DAGSTER_HOME": str(data / "dagster_home"),
            "DAGSTER_STORAGE_URL": f"postgresql+psycopg2://{database}/dagster?{_PARAMETERS}",
            "DAGSTER_BROKER_URL": f"redis://{ADDRESS}:{REDIS_PORT}/0",
        }

    def ytap(self, *arguments: str) -> None:
        """Run `ytap` on the control host.

        Raises:
            RuntimeError: It failed.
        """
        done = subprocess.run(
            [sys.executable, "-P", "-c", "from ytap_assets.cli import main; main()", *arguments],
            env=self.environment(self.folder / "control"), capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)

    def start(self, name: str) -> None:
        """Start a control program (`code`, `webserver` or `daemon`), or the broker."""
        if name == "broker":
            self._start_broker()
            return
        workspace = str(self.folder / "control" / "dagster_home" / "workspace.yaml")
        module = ["-m", "ytap_assets.definitions", "-h", "127.0.0.1", "-p", str(CODE_PORT)]
        command = {
            "code": ["dagster", "code-server", "start", *module],
            "webserver": ["dagster_webserver", "-w", workspace, "-p", str(WEB_PORT)],
            "daemon": ["dagster._daemon", "run", "-w", workspace],
        }[name]
        with (self.folder / f"{name}.log").open("ab") as log:
            self._programs[name] = subprocess.Popen(
                [sys.executable, "-P", "-m", *command],
                env=self.environment(self.folder / "control"), cwd=self.folder, stdout=log,
                stderr=log, start_new_session=True,
            )  # fmt: skip

    def stop(self, name: str, how: signal.Signals = signal.SIGTERM) -> None:
        """End a control program, or the broker, with what it started."""
        process = self._programs.pop(name)
        if name in ("code", "webserver", "daemon"):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, how)
        else:
            process.send_signal(how)
        process.wait()

    def add_host(self, processes: int = 1) -> Host:
        """Start a worker on another host."""
        number = len(self.hosts) + 11
        host = Host(f"ytap-bench-{number}", number, self.folder / f"host{number}")
        self.hosts.append(host)
        self._make_recordings(host.folder)
        home = host.folder / "dagster_home"
        home.mkdir()
        shutil.copy(ROOT / "deploy" / "cluster" / "dagster.yaml", home)
        host.connect()
        self.start_worker(host, processes)
        return host

    def start_worker(self, host: Host, processes: int = 1) -> None:
        """Start the worker of a host."""
        worker = [sys.executable, "-P", "-m", "celery", "-A", "ytap_assets.worker", "worker"]
        options = ["--concurrency", str(processes), "--loglevel", "INFO"]
        host.start([*worker, *options], self.environment(host.folder))

    def _wait_for_port(self, port: int) -> None:
        end = time.monotonic() + 120
        while True:
            with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                return
            if time.monotonic() > end:
                raise RuntimeError(f"nobody listens on port {port}")
            time.sleep(0.2)

    def wait_for_webserver(self) -> float:
        """The seconds until the web server answers, and knows the definitions."""
        began = time.monotonic()
        query = {
            "query": "{ repositoriesOrError { ... on RepositoryConnection { nodes { id } } } }"
        }
        while time.monotonic() - began < 120:
            with suppress(httpx.HTTPError, KeyError, ValueError):
                answer = self._post(query)
                if answer["data"]["repositoriesOrError"]["nodes"]:
                    return time.monotonic() - began
            time.sleep(0.2)
        raise RuntimeError((self.folder / "webserver.log").read_text()[-3000:])

    def _post(self, body: dict[str, Any]) -> Any:
        return httpx.post(f"http://127.0.0.1:{WEB_PORT}/graphql", json=body, timeout=60).json()

    def launch(self, job: str, config: dict[str, Any], tags: dict[str, str]) -> str:
        """Launch a run as the web page does; its id.

        Raises:
            RuntimeError: Dagster refuses it.
        """
        selector = {
            "repositoryLocationName": LOCATION,
            "repositoryName": "__repository__",
            "jobName": job,
        }
        given = [{"key": key, "value": value} for key, value in tags.items()]
        params = {
            "selector": selector,
            "runConfigData": config,
            "executionMetadata": {"tags": given},
        }
        answer = self._post({"query": _LAUNCH, "variables": {"params": params}})
        launched = (answer.get("data") or {}).get("launchRun", {})
        if launched.get("__typename") != "LaunchRunSuccess":
            raise RuntimeError(f"the run was not launched: {answer}")
        return str(launched["run"]["runId"])

    def stop_automation(self, kind: str, *names: str) -> None:
        """Stop schedules or sensors."""
        home = self.folder / "control" / "dagster_home"
        for name in names:
            run_in = self.environment(self.folder / "control")
            done = subprocess.run(
                [sys.executable, "-P", "-m", "dagster", kind, "stop", name, "-w",
                 str(home / "workspace.yaml")],
                env=run_in, capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode:
                raise RuntimeError(done.stderr[-3000:])

    def open_instance(self) -> dg.DagsterInstance:
        """Dagster's instance, as the control host has it."""
        return dg.DagsterInstance.from_config(str(self.folder / "control" / "dagster_home"))
