"""The examples of deployment, checked for form: against the service, and against what is said of them."""

import importlib.util
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving.gateway import PROBES
from serving.keys import FILE_VARIABLE
from serving.launch import KEEP_ALIVE_SECONDS
from serving.lifecycle import DRAIN_LIMIT_SECONDS, DRAIN_SECONDS
from serving.limits import LIMITS
from serving.settings import THREADS_VARIABLE
from tests.serving.closure import ROOT, needed_files

DEPLOY = ROOT / "serving/deploy"
MEGABYTE = {"M": 1e6, "Mi": 2**20, "G": 1e9, "Gi": 2**30}
RESIDENT = 350e6  # bytes that one worker may hold
PORT = 3000  # of BentoML's container


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8")))


def of_kind(kind: str) -> dict[str, Any]:
    [found] = [document for document in documents("kubernetes.yaml") if document["kind"] == kind]
    return found


def size(text: str) -> float:
    number, unit = re.fullmatch(r"(\d+)([A-Za-z]*)", text).groups()  # type: ignore[union-attr]
    return int(number) * MEGABYTE[unit]


@pytest.fixture(scope="module")
def pod() -> dict[str, Any]:
    """What a pod of the Deployment is."""
    found: dict[str, Any] = of_kind("Deployment")["spec"]["template"]["spec"]
    return found


@pytest.fixture(scope="module")
def container(pod: dict[str, Any]) -> dict[str, Any]:
    """Its one container."""
    [found] = pod["containers"]
    return dict(found)


@pytest.fixture(scope="module")
def composed() -> dict[str, Any]:
    """The service of the compose file."""
    [document] = documents("compose.yaml")
    assert set(document) <= {"services", "secrets"}
    return dict(document["services"]["newsframe"])


def test_idle_connections_are_kept_as_long_as_by_the_command_line(
    container: dict[str, Any], composed: dict[str, Any]
) -> None:
    command = ["serve", "--timeout-keep-alive", str(KEEP_ALIVE_SECONDS)]
    assert container["args"] == composed["command"] == command
    # BentoML's help hides the option, and its module may not be imported after the settings of other tests.
    found = importlib.util.find_spec("bentoml_cli")
    assert found
    assert found.origin
    assert f'"{command[1]}"' in Path(found.origin).with_name("serve.py").read_text(encoding="utf-8")


def test_every_document_is_of_a_kind_and_selects_the_pods_of_the_deployment() -> None:
    assert [(d["apiVersion"], d["kind"]) for d in documents("kubernetes.yaml")] == [
        ("apps/v1", "Deployment"),
        ("v1", "Service"),
        ("policy/v1", "PodDisruptionBudget"),
    ]
    deployment = of_kind("Deployment")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"].items() <= labels.items()
    assert of_kind("Service")["spec"]["selector"].items() <= labels.items()
    assert of_kind("PodDisruptionBudget")["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert of_kind("PodDisruptionBudget")["spec"]["minAvailable"] < deployment["replicas"]


def test_probes_ask_real_paths_at_a_real_port(container: dict[str, Any]) -> None:
    [port] = container["ports"]
    assert port["containerPort"] == PORT
    expected = {"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/livez"}
    for name, path in expected.items():
        assert container[name]["httpGet"] == {"path": path, "port": port["name"]}
        assert path in PROBES
    [served] = of_kind("Service")["spec"]["ports"]
    assert served["targetPort"] == port["name"]
    annotations = of_kind("Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/path"] in PROBES
    assert annotations["prometheus.io/port"] == str(PORT)


def test_readiness_is_seen_to_go_down_before_the_socket_closes(container: dict[str, Any]) -> None:
    probe = container["readinessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] <= DRAIN_SECONDS


def test_a_busy_worker_is_not_taken_for_a_dead_one(container: dict[str, Any]) -> None:
    probe = container["livenessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= LIMITS.inference_seconds


def test_there_is_time_to_answer_what_was_accepted(pod: dict[str, Any], composed: dict[str, Any]) -> None:
    assert pod["terminationGracePeriodSeconds"] > DRAIN_LIMIT_SECONDS + DRAIN_SECONDS
    assert int(composed["stop_grace_period"].removesuffix("s")) > DRAIN_LIMIT_SECONDS + DRAIN_SECONDS
    assert composed["stop_signal"] == "SIGTERM"


def test_nothing_runs_as_root_or_writes_where_it_should_not(
    pod: dict[str, Any], container: dict[str, Any], composed: dict[str, Any]
) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert composed["user"] == f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
    assert composed["read_only"] is True
    assert composed["cap_drop"] == ["ALL"]
    assert composed["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in composed


def test_what_is_written_to_is_mounted(
    pod: dict[str, Any], container: dict[str, Any], composed: dict[str, Any]
) -> None:
    variables = {entry["name"]: entry["value"] for entry in container["env"]}
    assert variables["BENTOML_HOME"] == composed["environment"]["BENTOML_HOME"]
    assert variables["BENTOML_HOME"].startswith("/tmp/")
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert set(mounts) == {volume["name"] for volume in pod["volumes"]}
    assert mounts["tmp"] == "/tmp"
    assert [entry.partition(":")[0] for entry in composed["tmpfs"]] == ["/tmp"]


def test_resources_are_asked_for_and_limited(container: dict[str, Any], composed: dict[str, Any]) -> None:
    resources, composed_resources = container["resources"], composed["deploy"]["resources"]
    assert RESIDENT <= size(resources["requests"]["memory"]) < size(resources["limits"]["memory"])
    assert RESIDENT <= size(composed_resources["reservations"]["memory"]) < size(composed_resources["limits"]["memory"])
    assert int(resources["requests"]["cpu"]) <= int(resources["limits"]["cpu"])
    threads = {entry["name"]: entry["value"] for entry in container["env"]}[THREADS_VARIABLE]
    assert threads == resources["limits"]["cpu"]
    assert composed["environment"][THREADS_VARIABLE] == composed_resources["limits"]["cpus"]
    assert composed_resources["limits"]["pids"] > 100


def test_keys_come_from_a_secret_and_no_key_stands_here(
    pod: dict[str, Any], container: dict[str, Any], composed: dict[str, Any]
) -> None:
    file = {entry["name"]: entry["value"] for entry in container["env"]}[FILE_VARIABLE]
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert file.startswith(f"{mounts['api-keys']['mountPath']}/")
    assert mounts["api-keys"]["readOnly"] is True
    [secret] = [volume["secret"] for volume in pod["volumes"] if "secret" in volume]
    assert secret["defaultMode"] & 0o007 == 0
    [name] = composed["secrets"]
    assert composed["environment"][FILE_VARIABLE] == f"/run/secrets/{name}"
    [document] = documents("compose.yaml")
    assert document["secrets"][name] == {"file": "./api-keys.txt"}
    ignored = subprocess.run(["git", "check-ignore", "-q", "serving/deploy/api-keys.txt"], cwd=ROOT, check=False)
    assert ignored.returncode == 0 or not (ROOT / ".git").exists()


def test_the_compose_file_listens_on_this_machine_alone_and_knows_when_it_is_well(composed: dict[str, Any]) -> None:
    assert composed["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]
    command = composed["healthcheck"]["test"]
    assert command[:3] == ["CMD", "python", "-c"]
    compile(command[3], "healthcheck", "exec")
    assert f"127.0.0.1:{PORT}/readyz" in command[3]


def test_fields_of_the_compose_file_are_fields_of_a_compose_file(composed: dict[str, Any]) -> None:
    known = {"image", "ports", "environment", "secrets", "user", "read_only", "tmpfs", "cap_drop", "command", "security_opt", "init",
             "deploy", "stop_signal", "stop_grace_period", "restart", "healthcheck", "logging"}  # fmt: skip
    assert set(composed) <= known
    assert set(composed["healthcheck"]) <= {"test", "interval", "timeout", "retries", "start_period"}
    assert set(composed["deploy"]["resources"]) <= {"limits", "reservations"}


def test_the_bento_holds_what_serving_needs_and_no_more() -> None:
    bento = yaml.safe_load((ROOT / "bentofile.yaml").read_text(encoding="utf-8"))

    def matched(patterns: list[str]) -> set[str]:
        rooms = [pattern.lstrip("/") for pattern in patterns if pattern.endswith(".py")]
        return {str(path.relative_to(ROOT)) for pattern in rooms for path in ROOT.glob(pattern)}

    held = matched(bento["include"]) - matched(bento["exclude"])
    assert held == needed_files("serving.service")


def test_the_version_is_that_of_the_program(container: dict[str, Any], composed: dict[str, Any]) -> None:
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert version
    assert container["image"] == composed["image"] == f"newsframe:{version[1]}"


def test_the_readme_states_what_the_files_say(pod: dict[str, Any]) -> None:
    readme = (DEPLOY / "README.md").read_text(encoding="utf-8")
    assert f"within {DRAIN_LIMIT_SECONDS:.0f} s" in readme
    assert f"are {pod['terminationGracePeriodSeconds']} s" in readme
    assert f"user {pod['securityContext']['runAsUser']} " in readme
