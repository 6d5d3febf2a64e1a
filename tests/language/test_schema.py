"""Editor and compiler cannot disagree: what the JSON Schema rejects the compiler rejects, and DK1xx is never more."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from typing import Any

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from airflow_doeks.language.rules import rule_of, schema, with_defaults
from airflow_doeks.model.job import SparkJob
from tests.language.seeds import DOEKS_SEEDS, PIPELINE_SEEDS

VALIDATORS = {name: Draft202012Validator(schema(name)) for name in ("pipeline", "doeks")}
KEYS = sorted(
    {key for name in VALIDATORS for part in schema(name)["$defs"].values() for key in part.get("properties", ())}
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 400),
    st.floats(-5, 400, allow_nan=False),
    st.sampled_from(
        ["", "a", "4Gi", "500m", "5m", "{{ x }}", "{% x %}", "s3://raw/x", "2026-01-01", "spot", "é", "a b"]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path of a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in inner for found in places(item, (*path, key)))]


@st.composite
def mutated(draw: Any, seeds: list[dict[str, Any]]) -> Any:
    """A valid document with one to four of its values replaced, removed, renamed or added to."""
    document: Any = {"root": copy.deepcopy(draw(st.sampled_from(seeds)))}
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(places(document)[1:]))
        parent = document
        for step in path[:-1]:
            parent = parent[step]
        action = draw(st.sampled_from(["replace", "remove", "rename", "add"]))
        if action == "replace" or isinstance(parent, list) or path == ("root",):
            parent[path[-1]] = draw(VALUES)
        elif action == "add":
            parent[draw(st.sampled_from(KEYS))] = draw(VALUES)
        else:
            value = parent.pop(path[-1])
            if action == "rename":
                parent[draw(st.sampled_from(KEYS))] = value
    return document["root"]


def agree(name: str, document: Any) -> None:
    """Both accept or both reject; a whole number written 2.0 is the one thing that only the compiler refuses."""
    faults = [fault for fault in rule_of(name)(document) or () if fault.code.startswith("DK1")]
    error = next(iter(VALIDATORS[name].iter_errors(document)), None)
    assert bool(faults) == (error is not None), (faults, error and error.message)


@settings(max_examples=10 * settings.default.max_examples)
@given(mutated(PIPELINE_SEEDS))
def test_compiler_and_schema_agree_on_every_pipeline(document):
    """A mutated pipeline is rejected by the JSON Schema if and only if it has a DK1xx diagnostic."""
    agree("pipeline", document)


@settings(max_examples=5 * settings.default.max_examples)
@given(mutated(DOEKS_SEEDS))
def test_compiler_and_schema_agree_on_every_doeks_yaml(document):
    """A mutated doeks.yaml is rejected by the JSON Schema if and only if it has a DK1xx diagnostic."""
    agree("doeks", document)


@settings(max_examples=3 * settings.default.max_examples)
@given(mutated([task["spark"] for seed in PIPELINE_SEEDS for task in seed["tasks"].values() if "spark" in task]))
def test_what_the_schema_takes_for_a_job_the_operator_can_read(job):
    """A Spark block without templates that the schema accepts makes a SparkJob: both come from one model."""
    document = {"tasks": {"t": {"spark": job}}}
    if not rule_of("pipeline")(document) and "{" not in json.dumps([str(value) for value in leaves_of(job)]):
        SparkJob.model_validate(without_nulls(job), context={"rendered": True})


CONFIGURED = {"configuration": [{"classification": "core-site", "configurations": [{"classification": "spark-env"}]}]}


@pytest.mark.parametrize(
    "job", [{}, CONFIGURED, *(task["spark"] for task in PIPELINE_SEEDS[0]["tasks"].values() if "spark" in task)]
)
def test_platforms_read_a_job_alike_from_its_text_and_from_its_model(job):
    """What `doeks lint` fills from the schema is what a rendered job hands over: whatever is added to it, too."""
    of_model = json.loads(json.dumps(SparkJob.model_validate(job).plain()))
    assert json.loads(json.dumps(with_defaults("pipeline", "SparkJob", job))) == of_model


@pytest.mark.parametrize(
    "value",
    [0.0, -0.0, 1.0, -1.0, 2.5, 1e300, 0, 1, -1, True, False, None, "0", "1", "1.0", [], {}],
    ids=repr,
)
@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("doeks", ("platforms", "lake", "log_rotation", "files")),
        ("doeks", ("platforms", "lake", "max_jobs")),
        ("doeks", ("policies", "max_executors")),
        ("pipeline", ("max_active_runs",)),
        ("pipeline", ("tasks", "t", "retries")),
        ("pipeline", ("tasks", "t", "spark", "executors", "max")),
        ("pipeline", ("tasks", "f", "flink", "parallelism")),
    ],
)
def test_a_whole_number_is_the_same_to_both(name, path, value):
    """Bounds hold however a number is written: 0.0 below a minimum of 1 is refused by schema and compiler alike."""
    seeds = {
        "doeks": {
            "platforms": {
                "lake": {
                    "type": "emr_on_eks",
                    "region": "eu-west-1",
                    "virtual_cluster": "a",
                    "log_rotation": {"size": "1g"},
                }
            }
        },
        "pipeline": {"tasks": {"t": {"spark": {"main": "a.py"}}, "f": {"flink": {"jar": "a.jar"}}}},
    }
    document = copy.deepcopy(seeds[name])
    parent = document
    for step in path[:-1]:
        parent = parent.setdefault(step, {})
    parent[path[-1]] = value
    agree(name, document)


def leaves_of(value: Any) -> list[Any]:
    """All scalars."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return [value] if inner is None else [found for item in inner for found in leaves_of(item)]


def without_nulls(value: Any) -> Any:
    """As the compiler hands it on."""
    return (
        {key: without_nulls(item) for key, item in value.items() if item is not None}
        if isinstance(value, dict)
        else value
    )


@pytest.mark.parametrize("name", ["pipeline", "doeks"])
def test_the_schema_is_one_of_2020_12(name):
    """A draft 2020-12 validator accepts it, and every seed is valid under it."""
    Draft202012Validator.check_schema(schema(name))
    for seed in PIPELINE_SEEDS if name == "pipeline" else DOEKS_SEEDS:
        VALIDATORS[name].validate(seed)


@pytest.mark.parametrize("name", ["pipeline", "doeks"])
def test_every_key_is_described(name):
    """Editors show a sentence for each key."""
    document = schema(name)
    parts = [document, *(part for part in document["$defs"].values() if "properties" in part)]
    missing = [
        key
        for part in parts
        for key, value in part["properties"].items()
        if not {"description", "const", "$ref"} & set(value)
    ]
    assert missing == []


@pytest.mark.skipif(
    pydantic.VERSION.startswith(("2.9.", "2.10.")), reason="older pydantic writes the same rules otherwise"
)
@pytest.mark.parametrize("module", ["schema", "reference"])
def test_generated_files_are_what_the_models_say(module):
    """The schema files, docs/yaml.md and docs/errors.md are in step with the code."""
    done = subprocess.run(
        [sys.executable, f"tools/write_{module}.py", "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
