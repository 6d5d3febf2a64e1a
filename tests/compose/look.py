"""Looks at a started docker-compose.yaml: waits until it is healthy, runs the example there, counts what it left.

``python look.py COMPOSE-COMMAND...``: standard library only; exits with a sentence at the first thing that is not so.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

COMPOSE = sys.argv[1:]
AIRFLOW = "http://127.0.0.1:8080"
HOME = "/opt/airflow"
SERVICES = ("postgres", "airflow-apiserver", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer")
VOLUMES = ("doeks", "logs", "secrets")
TASKS = ["carrier_delays", "clean_flights", "clean_weather", "daily_delays", "flights_with_weather"]
FLIGHTS = 336_776  # of 2013, all in the example's data


def say(text: str) -> None:
    """A line with the time."""
    print(time.strftime("%H:%M:%S", time.gmtime()), "", text, flush=True)


def require(is_so: bool, otherwise: str) -> None:
    """Go on only if it is so."""
    if not is_so:
        sys.exit(f"look.py: {otherwise}")


def until(what: str, seconds: int, look: Callable[[], Any]) -> Any:
    """The first thing that ``look`` finds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(3)
    sys.exit(f"look.py: not within {seconds} s: {what}")


def run(*command: str) -> str:
    """What a command prints."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def inside(service: str, *command: str) -> str:
    """What a command prints in the container of a service."""
    return run(*COMPOSE, "exec", "-T", service, *command)


def health(service: str) -> str:
    """What Docker says of the container of a service."""
    container = run(*COMPOSE, "ps", "--all", "--quiet", service)
    state = json.loads(run("docker", "inspect", container))[0]["State"]
    return state["Health"]["Status"] if state["Running"] else f"ended with {state['ExitCode']}"


def call(path: str, body: Any = None, method: str | None = None, token: str = "") -> Any:
    """The answer of Airflow's API; None for what is not there (yet)."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(AIRFLOW + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise


def refused() -> bool:
    """Whether Airflow turns away who has not logged in."""
    try:
        call("/api/v2/dags")
    except urllib.error.HTTPError as error:
        return error.code == 401
    return False


def wait_for_services() -> None:
    """Every service becomes healthy and keeps its files to the airflow user."""
    states: dict[str, str] = {}

    def all_healthy() -> bool:
        states.update({service: health(service) for service in SERVICES})
        return set(states.values()) == {"healthy"}

    until(f"every service healthy; last seen {states}", 300, all_healthy)
    say(f"healthy: {', '.join(SERVICES)}")
    owners = inside("airflow-scheduler", "stat", "-c", "%U %a %n", *(f"{HOME}/{name}" for name in VOLUMES))
    say("volumes: " + "; ".join(owners.splitlines()))
    require(all(line.startswith("airflow ") for line in owners.splitlines()), "a volume is not the airflow user's")


def log_in() -> str:
    """A token for the admin, whose password stands where docs/compose.md says."""
    require(refused(), "Airflow lets in who has not logged in")
    passwords = json.loads(inside("airflow-apiserver", "cat", f"{HOME}/secrets/passwords.json"))
    token = call("/auth/token", {"username": "admin", "password": passwords["admin"]})["access_token"]
    say("logged in as admin with the generated password; without one: 401")
    return token


def run_example(token: str) -> str:
    """The id of the run that Airflow starts when the example's DAG is unpaused, once it has succeeded."""
    until("DAG flights", 120, lambda: call("/api/v2/dags/flights", token=token))
    errors = call("/api/v2/importErrors", token=token)["import_errors"]
    require(not errors, f"import errors: {errors}")
    call("/api/v2/dags/flights", {"is_paused": False}, "PATCH", token)
    runs = "/api/v2/dags/flights/dagRuns"
    first = until("a run of flights", 120, lambda: call(runs, token=token)["dag_runs"])[0]["dag_run_id"]
    say(f"unpaused flights: {first}")
    ended = until(
        "the end of the run",
        1200,
        lambda: (state := call(f"{runs}/{first}", token=token)["state"]) in {"success", "failed"} and state,
    )
    tasks = call(f"{runs}/{first}/taskInstances", token=token)["task_instances"]
    for task in sorted(tasks, key=lambda task: task["start_date"] or ""):
        took = f"{task['duration']:.1f} s" if task["duration"] else "not run"
        say(f"  {task['task_id']:<21} {task['state']}, {took}, try {task['try_number']}")
    require(ended == "success" and {task["state"] for task in tasks} == {"success"}, f"the run ended {ended}")
    return first


def look_at_records(run_id: str, token: str) -> None:
    """One record a task, with cost and lineage, in the ledger and in Airflow's XCom alike."""
    find = ["find", f"{HOME}/doeks/ledger", "-name", "*.json", "-exec", "cat", "{}", ";", "-exec", "echo", ";"]
    ledger = [json.loads(line) for line in inside("airflow-triggerer", *find).splitlines() if line]
    require(sorted(record["attempt"]["task_id"] for record in ledger) == TASKS, f"{len(ledger)} records, not 5")
    for record in ledger:
        task, cost, lineage = record["attempt"]["task_id"], record["cost"], record["lineage"]
        path = f"/api/v2/dags/flights/dagRuns/{run_id}/taskInstances/{task}/xcomEntries/doeks_record?stringify=false"
        xcom = (call(path, token=token) or {}).get("value")
        require(bool(xcom), f"{task} has no XCom doeks_record")
        require(xcom["record_id"] == record["record_id"], f"{task}: XCom and ledger tell of different jobs")
        require(record["job"]["state"] == "SUCCEEDED", f"{task}: {record['job']}")
        require(float(cost["usd_total"] or 0) > 0, f"{task} has no cost: {cost}")
        require(bool(lineage["inputs"] and lineage["outputs"]), f"{task} has no lineage: {lineage}")
        rows = ", ".join(f"{found['name'].split('/doeks/')[-1]} {found['rows']} rows" for found in lineage["outputs"])
        say(f"  {task:<21} {float(cost['usd_total']):.6f} USD, {len(lineage['inputs'])} in, out: {rows}")
    written = {record["attempt"]["task_id"]: record["lineage"]["outputs"][0]["rows"] for record in ledger}
    require(written["clean_flights"] == FLIGHTS, f"clean_flights wrote {written['clean_flights']} rows")
    say(f"records in the ledger: {len(ledger)}, each with cost and lineage; XCom doeks_record: {len(ledger)}, the same")


def main() -> None:
    """From started containers to counted records."""
    wait_for_services()
    token = log_in()
    look_at_records(run_example(token), token)
    names = run("docker", "ps", "--format", "{{.Names}}", "--filter", "name=airflow").split()
    used = run("docker", "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", *names)
    say("memory after the run: " + "; ".join(used.splitlines()))


if __name__ == "__main__":
    main()
