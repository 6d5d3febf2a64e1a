"""Arguments of operators: dag-factory's notations are read, objects of Python are told."""

from __future__ import annotations

import pytest
import yaml

from airflow_doeks.dialects.dag_factory.document import convert

POD = "airflow.providers.cncf.kubernetes.operators.pod.KubernetesPodOperator"
BASH = "airflow.operators.bash.BashOperator"
SECRET = {"__type__": "airflow.providers.cncf.kubernetes.secret.Secret", "secret": "db", "deploy_target": "DB_PW"}
VOLUME = {"__type__": "kubernetes.client.models.V1Volume", "name": "data"}


def task_of(**task: object):
    """The task in our words, and the notes."""
    (found,) = convert(yaml.safe_dump({"d": {"schedule": None, "tasks": {"t": task}}}, sort_keys=False))
    return yaml.safe_load(found.text)["tasks"]["t"], found.notes


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (
            "container_resources",
            {"__type__": "kubernetes.client.models.V1ResourceRequirements", "limits": {"cpu": "1"}},
        ),
        ("secrets", [SECRET]),
        ("volumes", [{"name": "plain"}, VOLUME]),
        ("affinity", {"nodeAffinity": {"required": [VOLUME]}}),
        ("env_vars", {"__type__": "builtins.list", "items": [VOLUME]}),
        ("full_pod_spec", {"spec": {"containers": [[VOLUME]]}}),
    ],
)
def test_an_object_of_python_is_told_wherever_it_stands(key, value):
    """In a list, in a mapping, however deep: the whole argument stays away, and the note shows all of it."""
    task, notes = task_of(operator=POD, image="acme/x:1", **{key: value})
    assert task == {"uses": POD, "with": {"image": "acme/x:1"}}
    assert notes[0].startswith(f"t: `{key}: ")
    assert notes[0].endswith("did not carry over: it is an object of Python")
    assert str(value).count("'") == 0 or all(word in notes[0] for word in ("__type__",))


def test_notations_that_are_values_carry_over():
    """A list of builtins, text that is joined, a time span."""
    task, notes = task_of(
        operator="acme.Op",
        items={"__type__": "builtins.list", "items": ["a", "b"]},
        words={"__join__": ["echo ", {"__join__": ["h", "i"]}]},
        pause={"__type__": "datetime.timedelta", "minutes": 2},
    )
    assert task["with"] == {"items": ["a", "b"], "words": "echo hi", "pause": 120}
    assert notes[:2] == (
        "t: `words` is one text here: it was `__join__` of its parts",
        "t: `pause` is a number of seconds here, 120: it was a timedelta, {__type__: datetime.timedelta, minutes: 2}",
    )


def test_braces_that_are_meant_for_a_shell_stay_so():
    """In our YAML `${USER}` is a variable, so it is written `$${USER}`; a note names what dag-factory may replace."""
    task, notes = task_of(operator=BASH, bash_command="echo ${HOSTNAME:-x} ${USER} $HOME $${ESCAPED}")
    assert task["with"]["bash_command"] == "echo $${HOSTNAME:-x} $${USER} $HOME $$${ESCAPED}"
    assert len(notes) == 1
    assert notes[0].startswith("dag-factory replaced $HOME, ${ESCAPED}, ${USER} by the environment of the host that")


def test_arguments_that_an_operator_does_not_take_are_told():
    """Lint would refuse them; those that every operator has carry over."""
    task, notes = task_of(
        operator=BASH,
        bash_command="echo 1",
        bash_comand="echo 2",
        executor_config={"KubernetesExecutor": {"image": "acme/x"}},
        queue="small",
        do_xcom_push=False,
        variables_as_arguments=[{"variable": "v1", "attribute": "bash_command"}],
    )
    assert task == {"uses": "bash", "with": {"bash_command": "echo 1"}, "queue": "small", "do_xcom_push": False}
    told = "\n".join(notes)
    assert "`executor_config: {KubernetesExecutor: {image: acme/x}}` did not carry over" in told
    assert "`variables_as_arguments: [{variable: v1, attribute: bash_command}]` did not carry over" in told
    assert "`bash_comand: echo 2` did not carry over: did you mean bash_command?" in told
    assert "`queue: small` must be one that a worker of this Airflow serves" in told


@pytest.mark.parametrize(
    ("operator", "kind"),
    [
        ("airflow.operators.python.PythonOperator", "python"),
        ("airflow.operators.python.BranchPythonOperator", "branch"),
        ("airflow.providers.standard.operators.python.ShortCircuitOperator", "short_circuit"),
    ],
)
def test_a_function_of_a_file_stays_a_function(operator, kind):
    """Its file, name and arguments carry over; a note says where the file must stand, and what else it was given."""
    task, notes = task_of(
        operator=operator,
        python_callable_file="/dags/m.py",
        python_callable_name="f",
        op_kwargs={"a": 1},
        op_args=[2],
        queue="small",
    )
    assert task == {kind: {"file": "/dags/m.py", "function": "f", "args": {"a": 1}}, "queue": "small"}
    told = "\n".join(notes)
    assert "`python_callable_file: /dags/m.py` must stand below the folder of doeks.yaml" in told
    assert "`op_args: [2]` did not carry over" in told


@pytest.mark.parametrize(
    "task",
    [
        {"operator": "airflow.operators.python.PythonOperator", "python_callable": "m.f", "op_kwargs": {"a": 1}},
        {"operator": "airflow.operators.python.ShortCircuitOperator", "python_callable": "m.f"},
        {
            "operator": "airflow.sensors.python.PythonSensor",
            "python_callable_name": "f",
            "python_callable_file": "/m.py",
        },
        {"operator": "acme.OurPython", "python_callable": "m.f"},
        {"decorator": "airflow.sdk.task", "python_callable": "m.f", "expand": {"n": [1, 2]}},
        {"bash_command": "echo 1"},
    ],
)
def test_what_ran_python_becomes_a_placeholder_that_fails(task):
    """What depends on it must not run as if the work were done; the note holds the code's name and arguments."""
    found, notes = task_of(**task)
    assert found["uses"] == "bash"
    assert found["with"]["bash_command"].endswith(">&2; exit 1")
    assert notes[0].startswith("t: a placeholder that fails stands for ")
    assert all(f"`{key}: " in " ".join(notes) for key in task if key not in ("operator", "decorator"))


@pytest.mark.parametrize(
    ("expand", "ours", "told"),
    [
        ({"bash_command": ["a", "b"], "cwd": ["/c"]}, [("a", "/c"), ("b", "/c")], ""),
        ({"bash_command": "list_days.output"}, {"task": "list_days"}, "'list_days' must return a list of mappings"),
        ({"bash_command": "XcomArg(list_days)"}, {"task": "list_days"}, "'list_days' must return a list of mappings"),
        ({"bash_command": "+list_days"}, {"task": "list_days"}, "'list_days' must return a list of mappings"),
        ({"bash_command": "+list_days['k']"}, None, "`expand: {bash_command: '+list_days[''k'']'}` did not carry over"),
        ({"bash_command": "nobody.output"}, None, "`expand: {bash_command: nobody.output}` did not carry over"),
        ({"bash_command": "list_days.output", "cwd": ["/c"]}, None, "cwd: [/c]}` did not carry over"),
        ({"env": [VOLUME]}, None, "it is an object of Python"),
    ],
)
def test_mapping_carries_over_or_is_told(expand, ours, told):
    """Lists become their product, a task's output a task; a mix of both has no place."""
    tasks = {
        "list_days": {"operator": "acme.Op"},
        "t": {"operator": BASH, "expand": expand, "partial": {"env": {"A": "1"}}},
    }
    (found,) = convert(yaml.safe_dump({"d": {"schedule": None, "tasks": tasks}}))
    task = yaml.safe_load(found.text)["tasks"]["t"]
    rows = [dict(zip(expand, row, strict=True)) for row in ours] if isinstance(ours, list) else ours
    assert task.get("expand") == rows
    assert task["with"] == {"env": {"A": "1"}}
    assert told in "\n".join(found.notes)


def test_a_mapped_job_reads_its_items():
    """Where instances differ stands a template; of instances of another shape a note tells."""
    operator = "airflow.providers.apache.spark.operators.spark_submit.SparkSubmitOperator"
    task, notes = task_of(
        operator=operator,
        application="s3://c/a.py",
        num_executors=1,
        expand={"application_args": [["--d", 1], ["--d", 2]]},
    )
    assert task == {
        "spark": {
            "main": "s3://c/a.py",
            "args": ["--d", "{{ task.item.application_args[1] }}"],
            "executors": {"min": 1},
        },
        "expand": [{"application_args": ["--d", 1]}, {"application_args": ["--d", 2]}],
    }
    assert notes == ()
    arguments = {"application_args": ["old"], "num_executors": 1, "expand": {"application_args": [[1], [2]]}}
    task, notes = task_of(operator=operator, application="s3://c/a.py", **arguments)
    assert notes == ("t: `application_args: [old]` did not carry over: `expand` gives it again",)
    task, notes = task_of(
        operator=operator, application="s3://c/a.py", num_executors=1, expand={"application_args": [["a"], ["b", "c"]]}
    )
    assert task == {"spark": {"main": "s3://c/a.py", "executors": {"min": 1}}}
    assert notes[0].startswith("t: `expand: {application_args: [[a], [b, c]]}` did not carry over")


def test_callbacks_are_told_with_all_that_they_say():
    """On the DAG, in default_args, on a task and on a group; by path, by name and file, and with parameters."""
    dag = {
        "schedule": None,
        "on_success_callback": {"callback": "m.f", "channel": "#x"},
        "default_args": {"on_retry_callback": "m.r"},
        "task_groups": {"g": {"default_args": {"on_failure_callback": ["m.g", "m.h"]}}},
        "tasks": {"t": {"operator": "acme.Op", "task_group_name": "g", "on_execute_callback_name": "n"}},
    }
    (found,) = convert(yaml.safe_dump({"d": dag}))
    told = [note.partition(" did not")[0] for note in found.notes if "callback" in note]
    assert told == [
        "`on_success_callback: {callback: m.f, channel: '#x'}`",
        "`on_retry_callback: m.r`",
        "g: `on_failure_callback: [m.g, m.h]`",
        "g.t: `on_execute_callback_name: n`",
    ]
