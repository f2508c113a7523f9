"""The examples in `deploy/` fit the programs that read them. No container is run."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster._config import process_config, resolve_to_config_type
from dagster._core.instance.ref import InstanceRef

DEPLOY = Path(__file__).parents[1] / "deploy"
UNITS = sorted(DEPLOY.glob("*/*.service"))
INSTANCES = sorted(DEPLOY.glob("*/dagster.yaml"))
ENVIRONMENT = dict(
    line.split("=", 1)
    for line in (DEPLOY / "cluster" / "ytap.env").read_text(encoding="utf-8").splitlines()
    if re.match(r"[A-Z_]+=", line)
)


def read_yaml(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def find_references(value: object) -> set[str]:
    """The variables that a `dagster.yaml` refers to."""
    if isinstance(value, dict):
        if set(value) == {"env"}:
            return {value["env"]}
        return set().union(*map(find_references, value.values()))
    return set().union(*map(find_references, value)) if isinstance(value, list) else set()


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of the examples."""
    for name, value in {**ENVIRONMENT, "YTAP_IMAGE": "ytap:1"}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("path", INSTANCES, ids=lambda path: path.parent.name)
@pytest.mark.usefixtures("variables")
def test_dagster_accepts_the_instance(path: Path) -> None:
    ref = InstanceRef.from_dir(str(path.parent))  # raises where it does not fit the schema

    assert ref.run_launcher_data is not None
    assert read_yaml(path)["run_monitoring"]["enabled"]
    known = {*ENVIRONMENT, "YTAP_IMAGE"}
    assert find_references(read_yaml(path)) <= known
    storage = ref.run_storage_data
    assert storage is not None
    assert "password" not in storage.config_yaml


@pytest.mark.usefixtures("variables")
def test_dockers_launcher_accepts_its_config() -> None:
    launcher = InstanceRef.from_dir(str(DEPLOY / "docker")).run_launcher

    compose = read_yaml(DEPLOY / "docker" / "compose.yaml")
    assert launcher is not None
    assert launcher.image == "ytap:1"  # type: ignore[attr-defined]
    assert launcher.networks == [compose["networks"]["ytap"]["name"]]  # type: ignore[attr-defined]
    runs = launcher.container_kwargs["volumes"]  # type: ignore[attr-defined]
    daemon = compose["services"]["daemon"]["volumes"]
    assert set(runs) < set(daemon)
    assert {volume["name"] for volume in compose["volumes"].values()} == {runs[0].split(":")[0]}


@pytest.mark.usefixtures("variables")
def test_kubernetes_launcher_accepts_its_config() -> None:
    k8s = pytest.importorskip("dagster_k8s", reason="dagster-k8s, with 80 MB, is not installed")
    job = pytest.importorskip("dagster_k8s.job")
    config = read_yaml(DEPLOY / "kubernetes" / "dagster.yaml")["run_launcher"]["config"]

    found = process_config(resolve_to_config_type(k8s.K8sRunLauncher.config_type()), config)

    assert found.success, found.errors
    assert job.UserDefinedDagsterK8sConfig.from_dict(config["run_k8s_config"]).container_config


def test_kubernetes_manifests_fit_their_models() -> None:
    models = pytest.importorskip("dagster_k8s.models", reason="dagster-k8s is not installed")
    client = pytest.importorskip("kubernetes.client")
    for one in read_manifests():
        models.k8s_snake_case_dict(getattr(client, f"V1{one['kind']}"), one)


def read_manifests() -> list[dict[str, Any]]:
    text = (DEPLOY / "kubernetes" / "ytap.yaml").read_text(encoding="utf-8")
    return list(yaml.safe_load_all(text))


def test_kubernetes_manifests_refer_to_each_other() -> None:
    manifests = read_manifests()
    by_kind: dict[str, dict[str, Any]] = {}
    for one in manifests:
        by_kind.setdefault(one["kind"], {})[one["metadata"]["name"]] = one
    launcher = read_yaml(DEPLOY / "kubernetes" / "dagster.yaml")["run_launcher"]["config"]
    location = read_yaml(DEPLOY / "kubernetes" / "workspace.yaml")["load_from"][0]["grpc_server"]

    assert {one["metadata"]["namespace"] for one in manifests} == {launcher["job_namespace"]}
    assert launcher["service_account_name"] in by_kind["ServiceAccount"]
    assert set(launcher["env_config_maps"]) <= set(by_kind["ConfigMap"])
    for name, deployment in by_kind["Deployment"].items():
        pod = deployment["spec"]["template"]
        assert deployment["spec"]["selector"]["matchLabels"] == pod["metadata"]["labels"]
        volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
        [container] = pod["spec"]["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes
        assert all(isinstance(word, str) for word in container["args"]), name
    for service in by_kind["Service"].values():
        assert service["spec"]["selector"]["app"] in by_kind["Deployment"]
    ports = by_kind["Service"][location["host"]]["spec"]["ports"]
    assert [port["port"] for port in ports] == [location["port"]]
    values = by_kind["ConfigMap"]["ytap"]["data"]
    assert all(isinstance(value, str) for value in values.values())
    assert set(values) - {"YTAP_IMAGE"} <= set(ENVIRONMENT)


def test_compose_starts_one_daemon() -> None:
    compose = read_yaml(DEPLOY / "docker" / "compose.yaml")
    location = read_yaml(DEPLOY / "docker" / "workspace.yaml")["load_from"][0]["grpc_server"]

    commands = {name: service["command"] for name, service in compose["services"].items()}
    assert sum("dagster-daemon" in command for command in commands.values()) == 1
    assert f"-p {location['port']}" in commands[location["host"]]
    assert all(service["networks"] == ["ytap"] for service in compose["services"].values())


def test_the_image_has_the_launcher_of_the_locked_version() -> None:
    image = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    lock = (DEPLOY.parent / "requirements-cluster.lock").read_text(encoding="utf-8")
    found = re.search(r"^ARG LAUNCHER=dagster-docker==(\S+)$", image, re.MULTILINE)
    locked = re.search(r"^dagster-postgres==(\S+)", lock, re.MULTILINE)

    assert found is not None
    assert locked is not None
    assert found[1] == locked[1]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_systemd_accepts_the_unit(path: Path, tmp_path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(text)
    assert unit["Service"]["EnvironmentFile"] == "/etc/ytap/ytap.env"
    assert unit["Service"]["User"] == "ytap"
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze")
    # The programs of this environment, which have to exist.
    place = f"{Path(sys.prefix) / 'bin'}/"
    copy = tmp_path / path.name
    copy.write_text(text.replace("/opt/ytap/.venv/bin/", place), encoding="utf-8")
    done = subprocess.run(
        [program, "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_no_example_has_a_secret() -> None:
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            values = re.findall(r"^(?!#)\s*\w*(?:SECRET|PASSWORD|KEY)\w*[=:][ ]*(\S+)", text, re.M)
            assert values == [], path
            assert not re.search(r"://[^/\s]*:[^/@\s]+@(?!HOST)", text), path
