"""What a Kubernetes API server keeps and how it changes: objects with versions, their history, selectors, deletion.

As in Kubernetes 1.34: one counter of versions for all objects, a history that is compacted, a token that continues a
list of one moment, names that are taken, preconditions, a foreground deletion that waits for dependents.
"""

from __future__ import annotations

import copy
import itertools
import re
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

Json = dict[str, Any]


class Refused(Exception):
    """What the API server says instead: an HTTP status and the reason and message of a Status."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message


@dataclass(frozen=True)
class Resource:
    """A kind of object; ``columns`` are those of its Table: a name and where the value stands."""

    group: str
    version: str
    plural: str
    kind: str
    columns: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def api_version(self) -> str:
        """As in an object."""
        return f"{self.group}/{self.version}" if self.group else self.version


@dataclass(frozen=True)
class Change:
    """One event of a watch."""

    version: int
    type: str
    object: Json


_NAME = ("Name", ("metadata", "name"))
PODS = Resource("", "v1", "pods", "Pod", (_NAME, ("Status", ("status", "phase"))))
EVENTS = Resource("", "v1", "events", "Event", (_NAME,))
NODES = Resource("", "v1", "nodes", "Node", (_NAME,))
CLAIMS = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", (_NAME,))
KUBEFLOW = Resource(
    "sparkoperator.k8s.io",
    "v1beta2",
    "sparkapplications",
    "SparkApplication",
    (
        _NAME,
        ("Suspend", ("spec", "suspend")),
        ("Status", ("status", "applicationState", "state")),
        ("Attempts", ("status", "executionAttempts")),
        ("Start", ("status", "lastSubmissionAttemptTime")),
        ("Finish", ("status", "terminationTime")),
        ("Age", ("metadata", "creationTimestamp")),
    ),
)
APACHE = Resource(
    "spark.apache.org",
    "v1",
    "sparkapplications",
    "SparkApplication",
    (
        _NAME,
        ("Current State", ("status", "currentState", "currentStateSummary")),
        ("Age", ("metadata", "creationTimestamp")),
    ),
)


_FLINK = (_NAME, ("Job Status", ("status", "jobStatus", "state")), ("Lifecycle State", ("status", "lifecycleState")))
FLINK = Resource("flink.apache.org", "v1beta1", "flinkdeployments", "FlinkDeployment", _FLINK)
FLINK_SESSION = Resource("flink.apache.org", "v1beta1", "flinksessionjobs", "FlinkSessionJob", _FLINK)


@dataclass
class Cluster:
    """All objects of a cluster. Thread-safe; ``changed`` is notified of every change.

    Attributes:
        holds_deletion: a foreground deletion waits until ``finish_deletions`` is called, as for pods that still end.
    """

    resources: tuple[Resource, ...] = (PODS, EVENTS, NODES, CLAIMS, KUBEFLOW, APACHE, FLINK, FLINK_SESSION)
    holds_deletion: bool = False
    now: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    objects: dict[tuple[Resource, str, str], Json] = field(default_factory=dict)
    history: dict[Resource, list[Change]] = field(default_factory=dict)
    compacted: int = 0
    version: int = 0

    def __post_init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self._names = itertools.count(1)

    def resource(self, group: str, version: str, plural: str) -> Resource:
        """The one behind a path; 404 for a definition that nobody installed."""
        for resource in self.resources:
            if (resource.group, resource.version, resource.plural) == (group, version, plural):
                return resource
        raise Refused(404, "NotFound", "404 page not found")

    def moment(self) -> str:
        """The server's clock; every look takes a second, so that no two objects are of one age."""
        self.now += timedelta(seconds=1)
        return self.now.strftime("%Y-%m-%dT%H:%M:%SZ")

    def create(self, resource: Resource, namespace: str, body: Json, *, dry_run: bool = False) -> Json:
        """A new object; 409 if its name is taken."""
        with self.changed:
            made = copy.deepcopy(body)
            metadata = made.setdefault("metadata", {})
            if "name" not in metadata and metadata.get("generateName"):
                metadata["name"] = f"{metadata['generateName']}{next(self._names):05x}"
            key = (resource, namespace, metadata["name"])
            if key in self.objects:
                text = f'{resource.plural}.{resource.group} "{metadata["name"]}" already exists'
                raise Refused(409, "AlreadyExists", text)
            metadata |= {"namespace": namespace, "uid": str(uuid.uuid4()), "generation": 1}
            metadata["creationTimestamp"] = self.moment()
            made = {"apiVersion": resource.api_version, "kind": resource.kind} | made
            if not dry_run:
                self._note(resource, "ADDED", key, made)
            return copy.deepcopy(made)

    def get(self, resource: Resource, namespace: str, name: str) -> Json:
        """An object; 404 if there is none."""
        with self.changed:
            found = self.objects.get((resource, namespace, name))
            if found is None:
                raise Refused(404, "NotFound", f'{resource.plural}.{resource.group} "{name}" not found')
            return copy.deepcopy(found)

    def update(self, resource: Resource, namespace: str, name: str, changes: Mapping[str, Any]) -> Json:
        """A merge patch, as an operator or a kubelet sends it; of the version that it names, if it names one."""
        with self.changed:
            found = self.get(resource, namespace, name)
            for key in ("resourceVersion", "uid"):
                if (changes.get("metadata") or {}).get(key) not in (None, found["metadata"][key]):
                    raise Refused(409, "Conflict", "the object has been modified; please apply your changes to it")
            updated = _merged(found, changes)
            updated["metadata"]["generation"] += updated.get("spec") != found.get("spec")
            self._note(resource, "MODIFIED", (resource, namespace, name), updated)
            return copy.deepcopy(updated)

    def apply(self, resource: Resource, namespace: str, name: str, body: Json) -> Json:
        """A server-side apply of the only manager there is: the spec is the body's, what it leaves out is gone."""
        with self.changed:
            found = self.objects.get((resource, namespace, name))
            if found is None:
                return self.create(resource, namespace, body)
            wanted = body["metadata"].get("uid")
            if wanted not in (None, found["metadata"]["uid"]):
                raise Refused(409, "Conflict", f"Precondition failed: UID in precondition: {wanted}")
            updated = _merged(found, {"metadata": body["metadata"]}) | {"spec": copy.deepcopy(body["spec"])}
            updated["metadata"]["generation"] += found.get("spec") != body["spec"]
            self._note(resource, "MODIFIED", (resource, namespace, name), updated)
            return copy.deepcopy(updated)

    def delete(self, resource: Resource, namespace: str, name: str, options: Mapping[str, Any]) -> Json:
        """Gone at once, or marked and gone when its dependents are."""
        with self.changed:
            found = self.get(resource, namespace, name)
            wanted = (options.get("preconditions") or {}).get("uid")
            if wanted not in (None, found["metadata"]["uid"]):
                text = f"Precondition failed: UID in precondition: {wanted}, UID in object meta: another"
                raise Refused(409, "Conflict", text)
            if options.get("propagationPolicy") == "Foreground" and self.holds_deletion:
                if "deletionTimestamp" not in found["metadata"]:
                    found["metadata"]["deletionTimestamp"] = self.moment()
                    self._note(resource, "MODIFIED", (resource, namespace, name), found)
                return found
            self.remove(resource, namespace, name)
            return found

    def remove(self, resource: Resource, namespace: str, name: str) -> None:
        """Gone, whoever did it, and with it what it owns."""
        with self.changed:
            found = self.get(resource, namespace, name)
            uid = found["metadata"]["uid"]
            owned = [
                key
                for key, item in self.objects.items()
                if any(owner.get("uid") == uid for owner in item["metadata"].get("ownerReferences") or ())
            ]
            for of_resource, of_namespace, of_name in owned:
                self.remove(of_resource, of_namespace, of_name)
            self._note(resource, "DELETED", (resource, namespace, name), found)

    def finish_deletions(self) -> None:
        """What was marked is gone."""
        with self.changed:
            marked = [key for key, item in self.objects.items() if "deletionTimestamp" in item["metadata"]]
            for resource, namespace, name in marked:
                if (resource, namespace, name) in self.objects:
                    self.remove(resource, namespace, name)

    def select(self, resource: Resource, namespace: str | None, query: Mapping[str, str]) -> list[Json]:
        """Objects that a query selects, by name."""
        with self.changed:
            found = [
                item
                for (of_resource, of_namespace, _), item in sorted(self.objects.items(), key=lambda pair: pair[0][1:])
                if of_resource == resource and namespace in (None, of_namespace) and selects(query, item)
            ]
            return copy.deepcopy(found)

    def since(self, resource: Resource, version: int) -> list[Change]:
        """Changes after a version, for a watch that is open."""
        with self.changed:
            return [change for change in self.history.get(resource, ()) if change.version > version]

    def check_kept(self, version: int) -> None:
        """410 for a watch that begins at a version from before the last compaction."""
        if version < self.compacted:
            raise Refused(410, "Expired", f"too old resource version: {version} ({self.compacted})")

    def compact(self) -> None:
        """Forget history, as etcd does every five minutes; watches that are open do not mind."""
        with self.changed:
            self.version += 1
            self.compacted = self.version

    def _note(self, resource: Resource, what: str, key: tuple[Resource, str, str], item: Json) -> None:
        self.version += 1
        item["metadata"]["resourceVersion"] = str(self.version)
        if what == "DELETED":
            del self.objects[key]
        else:
            self.objects[key] = item
        changes = self.history.setdefault(resource, [])
        changes.append(Change(self.version, what, copy.deepcopy(item)))
        self.changed.notify_all()


def selects(query: Mapping[str, str], item: Json) -> bool:
    """True if label and field selectors hold: ``key=value``, ``key!=value``, ``key`` and ``!key``."""
    labels = item["metadata"].get("labels") or {}
    for term in _terms(query.get("labelSelector", "")):
        if " in (" in term:
            key, _, values = term.rstrip(")").partition(" in (")
            if labels.get(key) not in values.split(","):
                return False
            continue
        key, mark, value = term.partition("!=") if "!=" in term else term.partition("=")
        if term.startswith("!"):
            holds = term[1:] not in labels
        elif not mark:
            holds = term in labels
        else:
            holds = (labels.get(key) == value.lstrip("=")) is (mark == "=")
        if not holds:
            return False
    for term in _terms(query.get("fieldSelector", "")):
        key, mark, value = term.partition("!=") if "!=" in term else term.partition("=")
        if (str(at(item, tuple(key.split("."))) or "") == value.lstrip("=")) is not (mark == "="):
            return False
    return True


def at(item: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """The value at a path; None where it ends."""
    value: Any = item
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _terms(selector: str) -> Iterator[str]:
    return (term.strip() for term in re.split(r",(?![^(]*\))", selector) if term.strip())


def _merged(one: Json, other: Mapping[str, Any]) -> Json:
    result = dict(one)
    for key, value in other.items():
        mine = result.get(key)
        if value is None:
            result.pop(key, None)
        elif isinstance(mine, dict) and isinstance(value, Mapping):
            result[key] = _merged(mine, value)
        else:
            result[key] = copy.deepcopy(value)
    return result
