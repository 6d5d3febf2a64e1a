"""What docker-compose.yaml promises before anybody starts it; `prove.sh` beside this file starts it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import airflow_doeks

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yaml").read_text("utf-8"))
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")


def test_compose_file_is_valid():
    """docker-compose.yaml fits the compose specification."""
    check = str(Path(sys.executable).with_name("check-jsonschema"))
    command = [check, "--builtin-schema", "vendor.compose-spec", "docker-compose.yaml"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"airflow-init"}))
def test_service_is_watched(name):
    """Every service that stays up tells its health and is started again."""
    assert SERVICES[name]["healthcheck"]["test"]
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_nothing_listens_beyond_this_machine():
    """Published ports are bound to 127.0.0.1."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert ports == ["127.0.0.1:8080:8080"]


def test_no_secret_is_committed():
    """Airflow's secrets are read from the volume where each installation made its own."""
    environment = COMPOSE["x-airflow"]["environment"]
    secrets = {name: value for name, value in environment.items() if re.search("SECRET|FERNET", name)}

    assert len(secrets) == 3
    assert all(
        name.endswith("_CMD") and value.startswith("cat /opt/airflow/secrets/") for name, value in secrets.items()
    )


def test_images_are_pinned():
    """Images carry a version: Airflow the one that our lock file installs, ours that of the package."""
    locked = re.search(r"^apache-airflow==([\d.]+)$", (ROOT / "requirements/run.in").read_text("utf-8"), re.MULTILINE)
    bases = set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))

    assert locked
    assert bases == {f"apache/airflow:{locked[1]}-python3.12"}
    assert {service["image"] for name, service in SERVICES.items() if name != "postgres"} == {
        f"airflow-doeks:{airflow_doeks.__version__}"
    }
    assert re.fullmatch(r"postgres:\d+\.\d+-bookworm", SERVICES["postgres"]["image"])
