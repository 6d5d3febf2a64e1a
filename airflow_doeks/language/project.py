"""doeks.yaml: found upward, read once a process, and resolved for one environment."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_doeks.language.diagnostics import Diagnostic, suggestion
from airflow_doeks.language.layers import VARIABLE, Layer, merge
from airflow_doeks.language.structure import check_structure
from airflow_doeks.language.text import Document, Refused, read
from airflow_doeks.model.code_path import project_file

ENVIRONMENT_VARIABLE = "DOEKS_ENV"


@dataclass(eq=False)
class Project:
    """A doeks.yaml as it stands, or nothing if there is none; ``diagnostics`` are of the file alone.

    Attributes:
        is_readable: False of a file that holds no mapping: what pipelines may ask for is not known.
    """

    document: Document
    folder: Path | None
    diagnostics: list[Diagnostic] = field(default_factory=list)
    is_readable: bool = True
    _settings: dict[str | None, Setting] = field(default_factory=dict)

    @property
    def environments(self) -> tuple[str, ...]:
        """Names, in the order of the file."""
        return tuple(self.declared("environments"))

    def declared(self, key: str) -> Mapping[str, Any]:
        """What the file says under a key, broken entries too; empty if that is no mapping, as its faults tell."""
        data = self.document.data
        found = data.get(key) if isinstance(data, dict) else None
        return found if isinstance(found, dict) else {}

    def setting(self, environment: str | None) -> Setting:
        """The project in one environment, made once."""
        if environment not in self._settings:
            self._settings[environment] = _resolve(self, environment)
        return self._settings[environment]


@dataclass(eq=False)
class Setting:
    """A project in one environment: what every pipeline starts from.

    Attributes:
        platforms: name -> entry with its ``name``.
        base: ``defaults`` of doeks.yaml and of the environment, merged.
        cost_tags: of doeks.yaml and of the environment, merged.
        forced_platform: the environment's platform, which goes before every pipeline's.
        layers: where ``defaults`` come from, lowest first; ``tag_layers`` the same for cost tags.
        cache: anything that checks want to keep for the life of this setting.
    """

    project: Project
    environment: str | None
    data: dict[str, Any]
    variables: Mapping[str, Any]
    variable_layers: tuple[Layer, ...]
    platforms: Mapping[str, Mapping[str, Any]]
    base: dict[str, Any]
    cost_tags: dict[str, str]
    forced_platform: str | None
    layers: tuple[Layer, ...]
    tag_layers: tuple[Layer, ...]
    diagnostics: list[Diagnostic]
    cache: dict[Any, Any] = field(default_factory=dict)

    @property
    def known_platforms(self) -> Mapping[str, Mapping[str, Any]]:
        """The platforms that a task may name: the embedded one where there is no doeks.yaml."""
        if self.project.folder:
            return self.platforms
        from airflow_doeks.platforms.registry import EMBEDDED

        return {EMBEDDED: {"type": EMBEDDED, "name": EMBEDDED}}

    @property
    def lacks_platforms(self) -> bool:
        """True if faults of doeks.yaml, which are told there, took platforms away."""
        known = self.known_platforms
        return not known.keys() >= self.project.declared("platforms").keys() or (not known and bool(self.diagnostics))

    def unknown_platform(self, name: str) -> str | None:
        """What to say of a name that no platform has; None for one of a platform, sound or broken."""
        known = self.known_platforms
        if name in known or name in self.project.declared("platforms"):
            return None
        where = "doeks.yaml" if self.project.folder else "this folder has no doeks.yaml, which"
        return f'there is no platform "{name}"; {where} has {", ".join(known) or "none"}'

    @property
    def monthly_budgets_usd(self) -> dict[str, dict[str, str]]:
        """Cost tag -> value -> dollars that its jobs may cost in a UTC month."""
        budgets = self.data.get("monthly_budgets_usd") or {}
        return {key: {value: str(usd) for value, usd in values.items()} for key, values in budgets.items()}

    @property
    def rate_card(self) -> dict[str, Any]:
        """The entry of doeks.yaml, its file as a path that holds in every working directory."""
        card = dict(self.data.get("rate_card") or {})
        if card.get("file") and self.project.folder:
            card["file"] = str(self.project.folder / card["file"])
        return card

    def layer(self, *prefix: Any) -> Layer:
        """A mapping of doeks.yaml as a layer."""
        return Layer(self.project.document, prefix, self.variable_layers)


def find_project(folder: str | Path) -> Path | None:
    """The nearest doeks.yaml, upward from a folder."""
    found = project_file(os.path.abspath(folder), os.path.isfile)  # noqa: PTH100 - Path.resolve takes ten times that
    return Path(found) if found else None


def load_project(path: Path | None) -> Project:
    """The project in a file; the same object as long as the file does not change. None: a project without anything."""
    if path is None:
        return _NOTHING
    try:
        stat = os.stat(path)  # noqa: PTH116 - asked for every pipeline
    except OSError:
        return _load(str(path), 0, 0)
    return _load(str(path), stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=64)
def _load(path: str, _mtime: int, _size: int) -> Project:
    name = os.path.relpath(path) if not os.path.relpath(path).startswith("..") else path
    try:
        document = read(path, name)
    except Refused as refused:
        return Project(Document(name, "", {}), Path(path).parent, [refused.diagnostic], is_readable=False)
    is_mapping = isinstance(document.data, dict)
    return Project(document, Path(path).parent, list(document.diagnostics), is_readable=is_mapping)


def _resolve(project: Project, environment: str | None) -> Setting:
    document = project.document
    own = project.declared("environments").get(environment or "")
    variables = own.get("variables") if isinstance(own, dict) else None
    variables = {
        name: VARIABLE.sub(lambda found: found[1] or found[0], value) if isinstance(value, str) else value
        for name, value in (variables if isinstance(variables, dict) else {}).items()
    }
    places = (Layer(document, ("environments", environment, "variables")),) if variables else ()
    found, data = check_structure(document, "doeks", variables, places, environment)
    entry = (data.get("environments") or {}).get(environment) or {}
    if entry.get("policies"):
        data = {**data, "policies": merge(data.get("policies") or {}, entry["policies"])}
    prefix = ("environments", environment)
    base = merge(data.get("defaults") or {}, entry.get("defaults") or {})
    return Setting(
        project=project,
        environment=environment,
        data=data,
        variables=variables,
        variable_layers=places,
        platforms={name: {**value, "name": name} for name, value in (data.get("platforms") or {}).items()},
        base=base,
        cost_tags={**(data.get("cost_tags") or {}), **(entry.get("cost_tags") or {})},
        forced_platform=entry.get("platform"),
        layers=(Layer(document, ("defaults",), places), Layer(document, (*prefix, "defaults"), places)),
        tag_layers=(Layer(document, (), places), Layer(document, prefix, places)),
        diagnostics=found,
    )


_NOTHING = Project(Document("", "", {}), None)


def choose_environment(
    project: Project, wanted: str | None = None, default: str | None = None
) -> tuple[str | None, Diagnostic | None]:
    """The environment that holds: ``wanted``, else DOEKS_ENV, else ``default``, else the only one there is.

    The second value is a diagnostic if that is not one of the project's, or if none is chosen while several exist.
    """
    names = project.environments
    choosers = {
        "--env": wanted,
        ENVIRONMENT_VARIABLE: os.environ.get(ENVIRONMENT_VARIABLE),
        "[doeks] environment": default,
    }
    chooser, chosen = next(((by, name) for by, name in choosers.items() if name), ("", None))
    if not names:
        return None, None
    listed = ", ".join(names)
    if chosen is None:
        if len(names) == 1:
            return names[0], None
        message = f"several environments and none is chosen; there are {listed}"
        advice = f"pass --env, or set {ENVIRONMENT_VARIABLE} or [doeks] environment"
        return None, project.document.fault("DK215", message, ("environments",), at_key=True, help=advice)
    if chosen in names:
        return chosen, None
    message = f'there is no environment "{chosen}", which {chooser} chooses; there are {listed}'
    advice = suggestion(chosen, names)
    return None, project.document.fault("DK215", message, ("environments",), at_key=True, help=advice)
