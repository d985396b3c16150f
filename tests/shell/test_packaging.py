"""What is shipped and how it is set up: wheel, lock files, Makefile, image, compose example."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import quota_scheduler

ROOT = Path(__file__).parent.parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock")
EXAMPLES = ROOT / "examples"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the check-out, with these variables added."""
    return subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def pins(lock: str) -> dict[str, list[str]]:
    """The versions a lock pins, by package; several where they differ between Pythons."""
    found: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([a-z0-9-]+)==([^ ]+)", (ROOT / lock).read_text(), re.MULTILINE):
        found.setdefault(name, []).append(version)
    return found


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from a copy of the check-out."""
    copy = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in ("quota_scheduler", "alerts", "grafana"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "out"], cwd=copy, capture_output=True
    )
    assert built.returncode == 0, built.stderr.decode()
    return zipfile.ZipFile(next((copy / "out").glob("*.whl")))


def shipped(folder: str) -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_the_package_and_its_data_and_nothing_else(wheel):
    data = {f"quota_scheduler/_data/{name}" for folder in ("alerts", "grafana") for name in shipped(folder)}
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == shipped("quota_scheduler") | data


def test_the_wheel_has_the_version_and_the_command(wheel):
    info = f"quota_scheduler-{quota_scheduler.__version__}.dist-info"
    assert (
        wheel.read(f"{info}/entry_points.txt").decode()
        == "[console_scripts]\nquota-scheduler = quota_scheduler.__main__:main\n"
    )


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_a_hash_for_every_pin(lock):
    text = (ROOT / lock).read_text()
    entries = re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.MULTILINE)[1:]
    assert len(entries) > 20
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_registry_and_no_machine(lock):
    text = (ROOT / lock).read_text()
    assert re.findall(r".*(?:://|--(?:index|extra|find|trusted)|@ |^# .*/).*", text, re.MULTILINE) == []


@pytest.mark.parametrize(
    ("lock", "declared"),
    [
        pytest.param(
            "requirements.lock",
            PROJECT["project"]["dependencies"]
            + PROJECT["dependency-groups"]["build"]
            + PROJECT["build-system"]["requires"],
            id="what runs and what builds it",
        ),
        pytest.param("requirements-dev.lock", PROJECT["dependency-groups"]["dev"], id="what tests it"),
    ],
)
def test_a_lock_fits_what_the_project_asks_for(lock, declared):
    pinned = pins(lock)
    wrong = [
        f"{requirement}: {pinned.get(canonical(requirement.name), 'not in the lock')}"
        for requirement in map(Requirement, declared)
        if not any(requirement.specifier.contains(version) for version in pinned.get(canonical(requirement.name), []))
    ]
    assert wrong == [], "run make lock"


def test_what_serves_is_a_part_of_what_tests():
    tests = pins("requirements-dev.lock")
    assert {name: tests.get(name) for name in pins("requirements.lock")} == pins("requirements.lock")


def test_make_alone_lists_every_target():
    listed = re.findall(r"^make ([a-z]+) +\S", run("make").stdout, re.MULTILINE)
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony
    assert sorted(listed) == sorted(phony[1].split())


@pytest.fixture
def bare_copy(tmp_path: Path) -> Path:
    """A check-out that nobody set up yet, as far as the set-up looks at it."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shutil.copy(ROOT / "requirements.lock", tmp_path)
    return tmp_path


def pretend_python(folder: Path, name: str, script: str) -> str:
    """A program that answers like some Python."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        pytest.param(
            "exit 1",
            "setup: PYTHON={python} is not Python 3.11 or newer; name another one, such as PYTHON=python3.13",
            id="an old Python is refused",
        ),
        pytest.param(
            'case "$*" in *ensurepip* | "-m pip"*) exit 1 ;; esac',
            "setup: {python} has neither ensurepip nor pip: install one (on Debian: apt-get install python3-venv) and "
            "run make again",
            id="a Python that cannot install anything says what to install",
        ),
    ],
)
def test_set_up_that_cannot_work_says_why_in_one_sentence(bare_copy, script, sentence):
    python = pretend_python(bare_copy, "python", script)
    done = run(bare_copy / "scripts/setup.sh", "requirements.lock", PYTHON=python, PATH=str(only_tools(bare_copy)))
    assert (done.returncode, done.stdout, done.stderr) == (1, "", sentence.format(python=python) + "\n")
    assert not (bare_copy / ".venv").exists()


def only_tools(folder: Path) -> Path:
    """A PATH with what the script itself needs, and no pip."""
    tools = folder / "tools"
    tools.mkdir()
    for name in ("dirname", "rm"):
        (tools / name).symlink_to(str(shutil.which(name)))
    return tools


def test_set_up_borrows_a_pip_where_the_new_environment_has_none(bare_copy):
    python = pretend_python(
        bare_copy,
        "python",
        f"""case "$*" in
            *ensurepip*) exit 1 ;;
            "-m venv"*) mkdir -p .venv/bin && ln -s {bare_copy}/empty .venv/bin/python ;;
            *install*) echo "$*" ;;
        esac""",
    )
    pretend_python(bare_copy, "empty", 'case "$*" in "-m pip"*) exit 1 ;; esac')
    done = run(bare_copy / "scripts/setup.sh", "requirements.lock", PYTHON=python)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "-m pip --python .venv/bin/python --disable-pip-version-check --no-input install --quiet "
        "--require-hashes --requirement requirements.lock",
        "-m pip --python .venv/bin/python --disable-pip-version-check --no-input install --quiet "
        "--no-deps --no-build-isolation --editable .",
    ]


COMPOSE = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())
COMPOSES = pytest.mark.parametrize("file", ["compose.yaml", "replicas/compose.yaml"])


def composed(file):
    """A Compose file: its folder and what it says."""
    path = EXAMPLES / file
    return path.parent, yaml.safe_load(path.read_text())


@COMPOSES
def test_the_compose_file_is_valid(file):
    done = run(sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", EXAMPLES / file)
    assert done.returncode == 0, done.stdout + done.stderr


@COMPOSES
def test_what_compose_mounts_and_depends_on_is_there(file):
    folder, said = composed(file)
    services, volumes = said["services"], said["volumes"]
    sources = [volume.split(":")[0] for service in services.values() for volume in service["volumes"]]
    assert [source for source in sources if source not in volumes and not (folder / source).exists()] == []
    assert {name for service in services.values() for name in service.get("depends_on", [])} <= services.keys()


@COMPOSES
def test_compose_pins_what_is_not_ours(file):
    images = {service["image"] for service in composed(file)[1]["services"].values()} - {"quota-scheduler"}
    assert [image for image in images if not re.search(r":v?\d+\.\d+(\.\d+)?$", image)] == []


@COMPOSES
def test_compose_publishes_on_loopback_alone(file):
    ports = [port for service in composed(file)[1]["services"].values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_replicas_wait_for_whom_they_need_and_differ_by_name_and_spool_alone():
    services = composed("replicas/compose.yaml")[1]["services"]
    waits_for = {
        name: {other: how["condition"].removeprefix("service_") for other, how in service.get("depends_on", {}).items()}
        for name, service in services.items()
    }
    both = {"scheduler-1": "healthy", "scheduler-2": "healthy"}
    first = {"secrets": "completed_successfully"}
    assert waits_for == {
        "secrets": {}, "alertmanager": {}, "database": first, "scheduler-1": first | {"database": "healthy"},
        "scheduler-2": first | {"database": "healthy"}, "balancer": both, "prometheus": both,
        "grafana": {"prometheus": "healthy"},
    }  # fmt: skip
    one, other = services["scheduler-1"], services["scheduler-2"]
    assert {key for key in one if one[key] != other[key]} == {"hostname", "volumes"}
    spools = [{str(volume) for volume in service["volumes"]} for service in (one, other)]
    assert sorted(spools[0] ^ spools[1]) == [f"spool-{number}:/var/lib/quota-scheduler" for number in (1, 2)]
    own = {"secrets", "scheduler-1", "scheduler-2"}  # the image of ours has a check of its own
    assert [name for name in services if name not in own and "healthcheck" not in services[name]] == []


def test_the_replicas_file_holds_no_secret_and_its_configuration_is_valid():
    text = (EXAMPLES / "replicas/compose.yaml").read_text()
    assert re.findall(r"(?i)password: *\S|://[^/\s]+:[^/\s]+@", text) == []
    checked = run(
        sys.executable, "-m", "quota_scheduler", "--config", EXAMPLES / "replicas/quota.yaml", "config", "check"
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="gives files to other users: needs root")
def test_secrets_are_made_once_and_belong_to_who_reads_them(tmp_path):
    make = (sys.executable, EXAMPLES / "replicas/make_secrets.py", tmp_path)
    run(*make)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    run(*make)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == made
    token, password = made["token"].strip(), made["database-password"].strip()
    assert made == {
        "token": f"{token}\n", "tokens": f"operator:first:{sha256(token.encode()).hexdigest()}\n",
        "database-password": f"{password}\n", "pgpass": f"*:*:*:*:{password}\n",
    }  # fmt: skip
    users = {path.name: (path.stat().st_uid, oct(path.stat().st_mode & 0o777)) for path in tmp_path.iterdir()}
    assert users == {
        "token": (10001, "0o400"), "tokens": (10001, "0o400"), "pgpass": (10001, "0o400"),
        "database-password": (0, "0o444"),
    }  # fmt: skip


def test_the_first_token_is_made_once_and_is_the_one_the_service_knows(tmp_path):
    make = (sys.executable, EXAMPLES / "compose/make_token.py", tmp_path)
    run(*make)
    token, known = (tmp_path / "token").read_text(), (tmp_path / "tokens").read_text()
    again = run(*make)
    assert again.stdout == f"The operator's token is in {tmp_path}/token\n"
    assert ((tmp_path / "token").read_text(), (tmp_path / "tokens").read_text()) == (token, known)
    assert known == f"operator:first:{sha256(token.strip().encode()).hexdigest()}\n"
    assert [(tmp_path / name).stat().st_mode & 0o077 for name in ("token", "tokens")] == [0, 0]


@pytest.mark.parametrize("file", ["compose/prometheus.yml", "replicas/prometheus.yml"])
def test_prometheus_accepts_its_configuration_and_rules(program, tmp_path, file):
    shutil.copy(EXAMPLES / file, tmp_path)
    shutil.copytree(ROOT / "alerts", tmp_path / "alerts")
    checked = run(program("promtool"), "check", "config", tmp_path / "prometheus.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    rules = [path.name for path in (ROOT / "alerts").glob("*.y*ml") if "groups" in yaml.safe_load(path.read_text())]
    assert rules
    assert sorted(re.findall(r"Checking \S+/alerts/(\S+)\n +SUCCESS: [1-9]", checked.stdout)) == sorted(rules)


def test_grafana_is_pointed_at_prometheus_and_at_the_dashboards():
    provisioning = ROOT / "grafana/provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards/quota-scheduler.yaml").read_text())["providers"]
    scrape = yaml.safe_load((EXAMPLES / "compose/prometheus.yml").read_text())["global"]["scrape_interval"]
    grafana = COMPOSE["services"]["grafana"]
    assert (source["url"], source["jsonData"]["timeInterval"]) == ("${PROMETHEUS_URL}", scrape)
    assert grafana["environment"]["PROMETHEUS_URL"] == "http://prometheus:9090"
    assert f"../grafana/dashboards:{provider['options']['path']}:ro" in grafana["volumes"]
    assert list((ROOT / "grafana/dashboards").glob("*.json"))


def test_what_the_image_is_built_from_is_there_and_not_ignored():
    lines = re.findall(r"^COPY (?!--)(.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    sources = {source for line in lines for source in line.split()[:-1]}
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    assert {line[1:] for line in ignored if line.startswith("!")} == sources
    assert [source for source in sources if not (ROOT / source).exists()] == []
