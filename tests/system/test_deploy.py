"""What lies in deploy/: systemd takes the unit, manifests fit their schemas and one another."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from quota_scheduler.config.places import default_database

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy/systemd/quota-scheduler.service"
MANIFESTS = ROOT / "deploy/kubernetes"
MOST_EXPOSED = 1.2
"""Of 10, as ``systemd-analyze security`` counts; docs/how-to/run-under-systemd.md says what is left."""

needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="needs systemd-analyze: apt-get install systemd"
)
needs_kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="needs kubectl")


def analyze(*args):
    done = subprocess.run(["systemd-analyze", *args], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@needs_systemd
def test_systemd_takes_the_unit(tmp_path):
    here = tmp_path / UNIT.name
    program = "/opt/quota-scheduler/venv/bin/quota-scheduler"
    assert program in UNIT.read_text()
    here.write_text(UNIT.read_text().replace(program, sys.executable))
    assert analyze("verify", str(here)) == (0, "")


@needs_systemd
def test_little_is_exposed():
    status, said = analyze(
        "security", "--offline=true", "--no-pager", f"--threshold={int(MOST_EXPOSED * 10)}", str(UNIT)
    )
    assert status == 0, said


def manifests():
    """Every object of the manifests, by kind; what kustomize would make of files beside them is not among them."""
    files = [*sorted((MANIFESTS / "base").glob("*.yaml")), MANIFESTS / "with-service-monitor/service-monitor.yaml"]
    objects = [thing for file in files for thing in yaml.safe_load_all(file.read_text())]
    return {thing["kind"]: thing for thing in objects if "kind" in thing}


def container(objects):
    (only,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    return only


def test_selectors_find_the_pods():
    objects = manifests()
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    selectors = [objects[kind]["spec"]["selector"] for kind in ("Deployment", "PodDisruptionBudget")]
    spread = objects["Deployment"]["spec"]["template"]["spec"]["topologySpreadConstraints"]
    selectors += [constraint["labelSelector"] for constraint in spread]
    assert [selector["matchLabels"] for selector in selectors] == [labels] * 4
    assert objects["Service"]["spec"]["selector"] == labels
    assert objects["ServiceMonitor"]["spec"]["selector"]["matchLabels"] == objects["Service"]["metadata"]["labels"]


def test_ports_and_mounts_have_what_they_name():
    objects = manifests()
    pod, only = objects["Deployment"]["spec"]["template"]["spec"], container(objects)
    assert {mount["name"] for mount in only["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    ports = {port["name"] for port in only["ports"]}
    named = {only[f"{probe}Probe"]["httpGet"]["port"] for probe in ("startup", "liveness", "readiness")}
    named |= {port["targetPort"] for port in objects["Service"]["spec"]["ports"]}
    named |= {endpoint["port"] for endpoint in objects["ServiceMonitor"]["spec"]["endpoints"]}
    assert named == ports


def test_a_pod_has_longer_to_end_than_the_service_takes():
    from quota_scheduler import runtime, server

    takes = server.DRAIN_SECONDS + server.END_SECONDS + runtime.STOP_SECONDS
    assert manifests()["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > takes
    assert "TimeoutStopSec=30" in UNIT.read_text()
    assert takes < 30


def test_nothing_runs_as_root_or_writes_the_image():
    objects = manifests()
    pod, only = objects["Deployment"]["spec"]["template"]["spec"], container(objects)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert f"USER {pod['securityContext']['runAsUser']}:" in (ROOT / "Dockerfile").read_text()
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_spool_lies_where_it_may_be_written_and_stays():
    state = "/var/lib/quota-scheduler"
    assert default_database({"XDG_STATE_HOME": "/var/lib"}).parent == Path(state)
    assert "XDG_STATE_HOME=/var/lib " in (ROOT / "Dockerfile").read_text()
    assert "Environment=XDG_STATE_HOME=/var/lib\n" in UNIT.read_text()
    mounts = {mount["mountPath"]: mount for mount in container(manifests())["volumeMounts"]}
    assert mounts[state].get("readOnly", False) is False
    compose = yaml.safe_load((ROOT / "examples/replicas/compose.yaml").read_text())
    services = {name: one for name, one in compose["services"].items() if name.startswith("scheduler-")}
    volumes = [volume.partition(":")[0] for one in services.values() for volume in one["volumes"] if state in volume]
    assert (len(volumes), set(volumes) <= compose["volumes"].keys()) == (len(services), True)
    assert len(set(volumes)) == len(services) > 1


@needs_kubectl
@pytest.mark.parametrize("version", ["1.30", "1.37"])
@pytest.mark.parametrize("folder", ["base", "with-service-monitor"])
def test_what_kustomize_renders_fits_the_schemas(folder, version):
    validate = shutil.which("kubernetes-validate", path=f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin")
    if not validate:
        pytest.skip("needs kubernetes-validate: pip install kubernetes-validate")
    rendered = subprocess.run(["kubectl", "kustomize", MANIFESTS / folder], capture_output=True, text=True, check=True)
    done = subprocess.run(
        [validate, "--strict", "-k", version, "-"], input=rendered.stdout, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert [line for line in said.splitlines() if "WARN" in line and "servicemonitor" not in line.lower()] == []
