"""What a template of a job may reach: no file of its loader's, no module behind a module."""

from __future__ import annotations

import json
import uuid
from types import SimpleNamespace

import pytest
from jinja2 import FileSystemLoader
from jinja2.exceptions import SecurityError
from jinja2.sandbox import SandboxedEnvironment

from airflow_doeks.attempt.templates import within_project


@pytest.fixture
def environment(tmp_path):
    """A task's environment, closed, over a folder that holds a project and a file beside it."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "doeks.yaml").touch()
    (tmp_path / "secret").write_text("hunter2")
    return within_project(SandboxedEnvironment(loader=FileSystemLoader(tmp_path)), str(tmp_path / "project"))


@pytest.mark.parametrize(
    "text",
    [
        "{{ task.get_template_env().loader.inner.get_source(task.get_template_env(), 'secret') }}",
        "{{ task.get_template_env().loader.inner.searchpath.append('/') }}",
        "{{ task.get_template_env()['get_template']('secret').render() }}",
        "{{ (task.get_template_env() | attr('loader')).inner.searchpath }}",
        "{{ '{0.loader.inner.searchpath}'.format(task.get_template_env()) }}",
        "{{ macros.uuid.os.popen('id').read() }}",
        "{{ macros.json.codecs.open('/etc/passwd').read() }}",
    ],
)
def test_a_template_reaches_neither_its_loader_nor_the_modules_of_a_module(environment, text):
    """Through both, any file that the worker can read would be read."""
    task = SimpleNamespace(get_template_env=lambda: environment)
    with pytest.raises(SecurityError):
        environment.from_string(text).render(task=task, macros=SimpleNamespace(uuid=uuid, json=json))


def test_what_macros_are_for_goes_on(environment):
    """Functions of modules and ordinary attributes are as they were."""
    text = "{{ macros.json.dumps([1]) }} {{ macros.uuid.UUID(int=1).hex[-1] }} {{ task.name }}"
    macros = SimpleNamespace(uuid=uuid, json=json)
    assert environment.from_string(text).render(macros=macros, task=SimpleNamespace(name="t")) == "[1] 1 t"
