"""The rights that docs/platforms.md asks for, in IAM and Kubernetes, are those of the calls made: no more, no fewer."""

from __future__ import annotations

import re
from contextlib import aclosing
from pathlib import Path

import yaml

from airflow_doeks.hooks.stores import S3Store
from airflow_doeks.lifecycle.staging import stage
from airflow_doeks.model.job import SparkJob
from airflow_doeks.model.telemetry import Pod
from tests.fakes.aws_http import serving
from tests.fakes.emr_containers import Step
from tests.fakes.kubernetes import FakeKubernetes
from tests.platforms.harness_emr_on_eks import World, world

DOCS = Path(__file__).parents[2] / "docs" / "platforms.md"


async def everything(aws: World, folder: Path) -> None:
    """Each call that a task can cause: stage, submit, adopt, follow, cancel, explain, account for."""
    (folder / "main.py").write_text("1")
    job = stage(
        SparkJob(main="main.py", presets=("ndots",)), str(folder), S3Store("s3://acme-code", client=aws.make("s3"))
    )
    aws.emr.script = lambda _: (Step(0, "RUNNING"), Step(60, "FAILED", "exit code 1", "USER_ERROR"))
    platform = aws.platform()
    refs = [platform.submit(platform.render(job, aws.identity(task_id=f"t{number}"))) for number in range(3)]
    async with aclosing(platform.feed(platform.scope(refs[0]), set(refs))) as feed:
        async for status in feed:
            if status.state.is_terminal:
                break
    platform.find(aws.identity(task_id="t1"))
    platform.cancel(refs[0])
    cluster, job_run = refs[1].path
    log = aws.folder / f"acme-logs/emr/{cluster}/jobs/{job_run}/containers/spark-1/a-driver/stdout"
    log.parent.mkdir(parents=True)
    log.write_text("boom")
    aws.aws.log_streams[f"{cluster}/jobs/{job_run}/containers/spark-1/a-driver/stdout"] = ["boom"]
    assert platform.explain(refs[1]).log_tail == ("boom",)
    places = {"logs": None, "log_group": "/emr", "kubernetes": "kubernetes_default", "namespace": "sales"}
    assert aws.platform(**places).explain(refs[1]).log_tail == ("boom",)
    event_log = aws.aws.s3.place(platform.telemetry(refs[1]).event_log) / "spark-1"
    event_log.write_text("{}")
    store = S3Store("s3://acme-logs/spark-events", client=aws.make("s3"))
    assert store.open(next(store.list())).read() == b"{}"
    platform.nodes([Pod(uid="1", role="executor", vcpu=None, memory_gib=None, started=aws.emr.now, node="ip-10-0-0-1")])


async def test_the_documented_actions_are_the_calls_made(tmp_path):
    """A policy of exactly the documented actions is enough for everything, and none of them is idle."""
    (tmp_path / "s3").mkdir()
    with world(tmp_path / "s3") as aws, serving(FakeKubernetes()) as kubernetes:
        aws.kubernetes = kubernetes
        await everything(aws, tmp_path)
        made = {name if ":" in name else f"emr-containers:{name}" for name in aws.emr.calls} | set(aws.aws.s3.calls)
        made |= set(aws.aws.ec2.calls)
    page = DOCS.read_text()
    table = page.split("### IAM actions of the connection")[1].split("`emr-containers:TagResource`")[0]
    assert set(re.findall(r"^\| `([a-z0-9-]+:\w+)`", table, re.MULTILINE)) == made
    role = yaml.safe_load(page.split("kind: Role\n")[1].split("```")[0])
    rights = {f"{verb} {name}" for rule in role["rules"] for verb in rule["verbs"] for name in rule["resources"]}
    assert rights == set(kubernetes.calls)
