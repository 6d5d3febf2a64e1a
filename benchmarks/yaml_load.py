"""What the YAML costs, each number a ratio within one run: `python benchmarks/yaml_load.py`, `make bench`.

Every row is CPU time of a child forked from one warm process, the median of interleaved rounds. The bare bound does
the least that any YAML loader must: libyaml's parser and the same DAG objects, nothing checked. dag-factory runs in an
environment of its own (`.venvs/dag-factory`, made if a package index answers) with this script, beside the bound.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
EMPTY = "airflow.providers.standard.operators.empty.EmptyOperator"
TASKS = ("extract", "check", "transform", "load", "report")
START = "2026-01-01"
BARS = {  # row -> most it may be
    "load_dags": 1.2,
    "task start": 1.2,
    "lint, 1,000 files, seconds": 2.0,
    "lint, 1 file / import pydantic, yaml": 2.0,
    "modules": 40,
}


def write_pipelines(root: Path, count: int) -> None:
    """The same pipelines three times: ours, dag-factory's, and by hand."""
    for name in ("ours", "factory", "hand"):
        (root / name).mkdir(parents=True)
    for number in range(count):
        dag_id = f"pipeline_{number:04d}"
        needs = dict(zip(TASKS[1:], TASKS[:-1], strict=True))
        lines = [f"description: Pipeline {number}", 'schedule: "@daily"', f"start_date: {START}", "owner: sales"]
        ours = [*lines, "tags: [bench]", "tasks:"]
        factory = [f"{dag_id}:", "  default_args: {owner: sales, retries: 1}"]
        factory += [f"  {line}" for line in lines[:3]] + ["  catchup: false", "  tags: [bench]", "  tasks:"]
        hand = [
            "import pendulum",
            "from airflow.sdk import DAG, CronDataIntervalTimetable",
            f"from {EMPTY.rpartition('.')[0]} import EmptyOperator",
            f"dag = DAG({dag_id!r}, description='Pipeline {number}', catchup=False, tags=['bench'],",
            "    schedule=CronDataIntervalTimetable('0 0 * * *', timezone='UTC'),",
            f"    start_date=pendulum.parse({START!r}), default_args=dict(owner='sales', retries=1))",
        ]
        for task in TASKS:
            ours += [f"  {task}:", "    uses: empty", "    retries: 1"]
            factory += [f"    {task}:", f"      operator: {EMPTY}"]
            hand += [f"{task} = EmptyOperator(task_id={task!r}, dag=dag)"]
            if task in needs:
                ours += [f"    needs: [{needs[task]}]"]
                factory += [f"      dependencies: [{needs[task]}]"]
                hand += [f"{task}.set_upstream({needs[task]})"]
        (root / "ours" / f"{dag_id}.yaml").write_text("\n".join(ours) + "\n")
        (root / "factory" / f"{dag_id}.yml").write_text("\n".join(factory) + "\n")
        (root / "hand" / f"{dag_id}.py").write_text("\n".join(hand) + "\n")


def bound(root: Path) -> int:
    """The least: libyaml and the DAG objects."""
    import pendulum
    import yaml
    from airflow.providers.standard.operators.empty import EmptyOperator

    from airflow_doeks.compat import DAG, CronDataIntervalTimetable

    dags = {}
    for file in sorted((root / "ours").iterdir()):
        spec = yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader)
        dag = DAG(
            file.stem,
            description=spec["description"],
            schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
            start_date=pendulum.parse(str(spec["start_date"])),
            catchup=False,
            tags=spec["tags"],
        )
        tasks = {}
        for task_id, task in spec["tasks"].items():
            tasks[task_id] = EmptyOperator(task_id=task_id, dag=dag, owner=spec["owner"], retries=task["retries"])
            for need in task.get("needs", ()):
                tasks[task_id].set_upstream(tasks[need])
        dags[file.stem] = dag
    return len(dags)


def bound_without_collector(root: Path) -> int:
    """The same without Python's garbage collector, which `load_dags` pauses."""
    gc.disable()
    return bound(root)


def ours(root: Path, dag_id: str | None = None) -> int:
    """`load_dags`, as a DAG file calls it; with a dag_id, as a task's start does."""
    from airflow_doeks import load_dags

    if dag_id:
        os.environ["_AIRFLOW_PARSING_CONTEXT_DAG_ID"] = dag_id
    namespace = {"__file__": str(root / "pipelines.py")}
    load_dags("ours", namespace)
    return len(namespace) - 1


def by_hand(root: Path) -> int:
    """One Python file a DAG, imported."""
    found = 0
    for file in sorted((root / "hand").glob("*.py")):
        spec = importlib.util.spec_from_file_location(file.stem, file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found += module.dag is not None
    return found


def factory(root: Path) -> int:
    """dag-factory over its folder."""
    from dagfactory import load_yaml_dags

    namespace = {}
    load_yaml_dags(namespace, dags_folder=str(root / "factory"))
    return len(namespace)


def cpu_ms(work, *arguments, expect: int, **named) -> float:
    """CPU milliseconds of a forked child; a row that built fewer DAGs than it should is no measurement."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        sys.dont_write_bytecode = True
        started = time.process_time()
        count = work(*arguments, **named)
        os.write(writer, f"{(time.process_time() - started) * 1000} {count}".encode())
        os._exit(0)
    os.close(writer)
    os.wait()
    milliseconds, count = os.read(reader, 100).split()
    os.close(reader)
    if int(count) != expect:
        sys.exit(f"{work.__name__} built {count.decode()} DAGs, not {expect}")
    return float(milliseconds)


def measure(rows: dict, rounds: int) -> dict[str, float]:
    """Median per row; rounds are interleaved, so that a noisy neighbour hits every row."""
    for row in rows.values():
        row()  # imports
    gc.collect()
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, row in rows.items():
            found.setdefault(name, []).append(row())
    return {name: statistics.median(times) for name, times in found.items()}


def warm() -> None:
    """Import in the parent what every row uses, so that no child pays for it."""
    with tempfile.TemporaryDirectory() as folder:
        write_pipelines(Path(folder), 1)
        bound(Path(folder))
        ours(Path(folder))
        by_hand(Path(folder))
        if importlib.util.find_spec("dagfactory"):
            factory(Path(folder))


def child_cpu_seconds(*command: str) -> float:
    """User and system seconds of a whole process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 1):
        sys.exit(f"{command}: {done.stderr.decode()}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def modules(root: Path) -> list[str]:
    """What loading adds to a process that has airflow.sdk, pydantic and yaml."""
    code = (
        "import sys, pydantic, yaml, airflow.sdk\n"
        "from airflow.sdk import DAG, TaskGroup, BaseOperator, CronDataIntervalTimetable\n"
        f"before = set(sys.modules); __file__ = {str(root / 'pipelines.py')!r}\n"
        "from airflow_doeks import load_dags; load_dags('ours', globals())\n"
        "print('\\n'.join(sorted(set(sys.modules) - before)))"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def peer_python() -> tuple[Path | None, str]:
    """A Python with dag-factory beside this one's Airflow, made once; or why there is none."""
    python = Path(os.environ.get("DOEKS_DAG_FACTORY_PYTHON") or ROOT / ".venvs" / "dag-factory" / "bin" / "python")
    if python.exists():
        return python, ""
    import airflow

    wanted = [f"apache-airflow=={airflow.__version__}", "dag-factory", "apache-airflow-providers-standard"]
    uv = Path(sys.executable).with_name("uv")
    make, install = [sys.executable, "-m", "venv"], [str(python), "-m", "pip", "install", "-q"]
    if uv.exists():
        make, install = [str(uv), "venv", "-q"], [str(uv), "pip", "install", "-q", "--python", str(python)]
    steps = ([*make, str(python.parents[1])], [*install, *wanted], [*install, "--no-deps", "-e", str(ROOT)])
    for command in steps:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return None, (done.stderr.strip().splitlines() or ["could not be installed"])[-1]
    return python, ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer", action="store_true", help="only bound and dag-factory, as JSON")
    options = parser.parse_args()
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("AIRFLOW_HOME", folder)
        many, one = Path(folder, "many"), Path(folder, "one")
        write_pipelines(many, options.count)
        write_pipelines(one, 1)
        warm()
        rows = {"bare bound": lambda: cpu_ms(bound, many, expect=options.count)}
        if options.peer:
            rows["dag-factory"] = lambda: cpu_ms(factory, many, expect=options.count)
            print(json.dumps(measure(rows, options.rounds)))
            return
        rows["bound, collector off"] = lambda: cpu_ms(bound_without_collector, many, expect=options.count)
        rows["load_dags"] = lambda: cpu_ms(ours, many, expect=options.count)
        rows["Python by hand"] = lambda: cpu_ms(by_hand, many, expect=options.count)
        last = f"pipeline_{0:04d}"
        rows["task start, one"] = lambda: cpu_ms(ours, one, last, expect=1)
        rows["task start, many"] = lambda: cpu_ms(ours, many, last, expect=1)
        found = measure(rows, options.rounds)
        report(found, many, one, options)


def report(found: dict[str, float], many: Path, one: Path, options: argparse.Namespace) -> None:
    """Print rows with their bars; exit 1 if one is missed."""
    missed = []

    def line(name: str, value: float, beside: str, bar: str | None = None) -> None:
        most = BARS.get(bar or "")
        verdict = "" if most is None else f"bar {most:g}: {'met' if value <= most else 'MISSED'}"
        missed.extend([name] if "MISSED" in verdict else [])
        print(f"{name:<52}{value:>8.2f}  {beside:<34}{verdict}")

    base = found["bare bound"]
    print(f"load {options.count} five-task pipelines, median of {options.rounds}; bare bound {base:.0f} ms CPU")
    for name, bar in (("load_dags", "load_dags"), ("bound, collector off", None), ("Python by hand", None)):
        line(name, found[name] / base, f"x the bound ({found[name]:.0f} ms)", bar)
    python, why = peer_python()
    if python is None:
        print(f"dag-factory{'':<41} not run: {why}")
    else:
        script = [str(python), __file__, "--peer", "--count", str(options.count), "--rounds", str(options.rounds)]
        done = subprocess.run(script, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"dag-factory{'':<41} not run: {(done.stderr.strip().splitlines() or ['no output'])[-1]}")
        else:
            peer = json.loads(done.stdout.splitlines()[-1])
            line("dag-factory", peer["dag-factory"] / peer["bare bound"], f"x the bound ({peer['dag-factory']:.0f} ms)")
    ratio = found["task start, many"] / found["task start, one"]
    line(f"task start, {options.count} pipelines / 1", ratio, f"({found['task start, many']:.1f} ms)", "task start")
    names = modules(one)
    providers = [name for name in names if name.startswith("airflow.providers.") and ".standard" not in name]
    line("modules beyond airflow.sdk, pydantic, yaml", len(names), f"providers: {providers or 'none'}", "modules")
    doeks = str(Path(sys.executable).with_name("doeks"))
    base = statistics.median(child_cpu_seconds(sys.executable, "-c", "import pydantic, yaml") for _ in range(5))
    single = statistics.median(child_cpu_seconds(doeks, "lint", str(one / "ours")) for _ in range(5))
    beside = f"x import pydantic, yaml ({base:.2f} s)"
    line("doeks lint, 1 file", single / base, beside, "lint, 1 file / import pydantic, yaml")
    whole = statistics.median(child_cpu_seconds(doeks, "lint", str(many / "ours")) for _ in range(3))
    line(f"doeks lint, {options.count} files", whole, "s CPU, whole process", "lint, 1,000 files, seconds")
    (one / "ours" / f"pipeline_{0:04d}.yaml").write_text("tasks: {a: {spark: {main: s3://code/a.py}}}\n")
    (one / "doeks.yaml").write_text("platforms: {laptop: {type: local}}\ndefaults: {platform: laptop}\n")
    line("modules, with a Spark task", len(modules(one)), "ours among them")
    single = statistics.median(child_cpu_seconds(doeks, "lint", str(one / "ours")) for _ in range(5))
    line("doeks lint, 1 file with a Spark task", single / base, "x import pydantic, yaml")
    sys.exit(f"missed: {', '.join(missed)}" if missed else 0)


if __name__ == "__main__":
    main()
