"""Models with versions and stages: register, promote, roll back, and always exactly one champion.

ClearML has no compare-and-set and no transactions, only creation with the server's time. The
registry is built on that:

*Versions.* A version is a ClearML model with the system tag `registry:<name>`. Its number is
settled after its creation: one more than the highest among those created before it (order: creation
time, then id).

*Promotions.* A promotion is one ClearML task of its own, created in `<project>/.registry/<name>`:
one call, so it is there or not. It names the version promoted and the promotion it was based on.
Read in order of creation, a promotion counts if it is based on the last one that counted before it;
of two that are based on the same one, the earlier counts and the later knows that it lost. The
champion is what the last promotion that counts names. Nothing else decides it.

*Stages* (`candidate`, `champion`, `retired`) are tags on the models for people to see and filter
by. They follow the promotions, a moment later, and are set right by whoever reads them next.

A server of several workers may make a task visible some milliseconds after its creation time; so a
promoter looks again after `SETTLE_SECONDS` before it says that it won. A stall of one of the
server's workers for longer than that, between taking the time and writing, could make two promoters
believe they won; even then all readers agree on one champion.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clearml_utils import capture, promotions
from clearml_utils.connection import Connection
from clearml_utils.errors import RegistryError, Rejected
from clearml_utils.names import safe_file, safe_name, safe_segment
from clearml_utils.options import Options
from clearml_utils.projects import Projects
from clearml_utils.promotions import CANDIDATE, CHAMPION, STAGES, Promotion

SETTLE_SECONDS = 0.2
_NEW = "registry:new"


@dataclass(frozen=True)
class ModelVersion:
    """One version of a model.

    Attributes
    ----------
    name, version
        Together unique within a project; versions count from 1.
    id
        ClearML's id of the model.
    stage
        `candidate`, `champion` or `retired`.
    metrics
        Numbers it was registered with.
    metadata
        Texts it was registered with: data hash, features, training window, code revision, Prefect run.
    url
        Where the file is; empty for a model that is only described.
    task_id
        ClearML task that made it.
    """

    name: str
    version: int
    id: str
    stage: str
    metrics: Mapping[str, float]
    metadata: Mapping[str, str]
    url: str
    project: str
    tags: tuple[str, ...] = ()
    task_id: str | None = None
    framework: str = ""
    created: str = ""


def register(
    name: str,
    path_or_obj: Any,
    *,
    project: str,
    metrics: Mapping[str, float] | None = None,
    metadata: Mapping[str, Any] | None = None,
    tags: Sequence[str] = (),
    task_id: str | None = None,
    framework: str | None = None,
) -> ModelVersion:
    """Store a new version of the model `name`; it begins as a candidate.

    Parameters
    ----------
    name
        Model name, within `project`.
    path_or_obj
        `Path` of a file, or a fitted estimator, which is pickled.
    metrics
        Numbers by which versions are compared; NaN and infinities are kept as metadata only.
    metadata
        What one must know to judge or rebuild it.
    task_id
        ClearML task that made it; default: the task of the run this is called in.

    Raises
    ------
    RegistryError
        The value cannot be stored as a model.
    Unreachable, BadCredentials, NotConfigured
        Unlike records, a registration does not wait in the spool: its version number is the server's to give.
    """
    return Registry().register(
        name, path_or_obj, project=project, metrics=metrics, metadata=metadata, tags=tags, task_id=task_id,
        framework=framework,
    )  # fmt: skip


def versions(name: str, project: str) -> list[ModelVersion]:
    """All versions of a model, the oldest first."""
    return Registry().versions(name, project)


def names(project: str) -> list[str]:
    """Names registered in a project, sorted."""
    return Registry().names(project)


def champion(name: str, project: str) -> ModelVersion | None:
    """The version in use; None before the first promotion."""
    return Registry().champion(name, project)


def history(name: str, project: str) -> list[Promotion]:
    """Every promotion ever tried, in order; `counts` says which took effect."""
    return Registry().history(name, project)


def promote(version: ModelVersion, reason: str, *, expected: ModelVersion | None = None) -> ModelVersion:
    """Make `version` the champion; the one before it is retired.

    Parameters
    ----------
    expected
        Only if this one is champion still; otherwise promotion is repeated until it takes effect.

    Raises
    ------
    RegistryError
        Another champion than `expected`, or a version that is not registered.
    """
    return Registry().promote(version, reason, expected=expected)


def rollback(name: str, project: str, reason: str = "rollback") -> ModelVersion:
    """Make the champion before the present one champion again.

    Two rollbacks at once are one: the second finds that its base is gone and returns what the first did.

    Raises
    ------
    RegistryError
        There is no champion before this one.
    """
    return Registry().rollback(name, project, reason)


def download(version: ModelVersion, folder: Path | None = None) -> Path:
    """Local copy of a version's file, through the SDK's cache.

    Raises
    ------
    RegistryError
        The version has no file.
    """
    return Registry().download(version, folder)


class Registry:
    """The registry of one ClearML server."""

    def __init__(self, connection: Connection | None = None) -> None:
        self.connection = connection or _shared()
        self._projects = Projects(self.connection)

    def register(
        self,
        name: str,
        path_or_obj: Any,
        *,
        project: str,
        metrics: Mapping[str, float] | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: Sequence[str] = (),
        task_id: str | None = None,
        framework: str | None = None,
    ) -> ModelVersion:
        """See the module's `register`."""
        made = _stored(name, path_or_obj)
        task_id = task_id or _current_task()
        url = self._upload(name, project, made)
        request: dict[str, Any] = {
            "name": safe_name(name),
            "uri": url,
            "project": self._projects.id(project),
            "framework": framework or made.framework,
            "tags": [CANDIDATE, *tags],
            "system_tags": [_mark(name)],
            "ready": True,
        }
        if task_id:
            request["task"] = task_id
        model_id = str(self.connection.call("models.create", **request)["id"])
        self._describe(model_id, {"registry.name": name, **_metadata(metrics or {}, metadata or {})})
        number = self._number(name, project, model_id)
        if task_id:
            self.connection.call("tasks.add_or_update_model", task=task_id, name=name, model=model_id, type="output")
        return next(v for v in self.versions(name, project) if v.version == number and v.id == model_id)

    def _upload(self, name: str, project: str, made: capture.Stored) -> str:
        if made.write is None:
            raise RegistryError("; ".join(made.notes), where=name, hint="Raise CLEARML_UTILS_ARTIFACT_MAX_MB.")
        folder = Options.load().spool.parent / "registry"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        local = folder / f"{uuid.uuid4().hex}{made.suffix}"
        try:
            made.write(local)
            path = f"{safe_file(project)}/models/{safe_file(name)}/{local.name}"
            return self.connection.upload(path, local, made.content_type)
        finally:
            local.unlink(missing_ok=True)

    def _number(self, name: str, project: str, model_id: str) -> int:
        """Settle the number of a new model; see the module's docstring."""
        number = 0
        for _ in range(20):
            rows = self._rows(name, project)
            mine = next(i for i, row in enumerate(rows) if row["id"] == model_id)
            before = [_version(row) for row in rows[:mine]]
            if 0 in before and _ > 2:
                before = [v or i + 1 for i, v in enumerate(before)]  # one before us died before it had a number
            if 0 not in before:
                wanted = max(before, default=0) + 1
                if wanted == number:
                    return number
                number = wanted
                self._describe(model_id, {"registry.version": number})
            time.sleep(SETTLE_SECONDS)
        raise RegistryError("no version number could be settled", where=f"{project}/{name}", hint="Register again.")

    def _describe(self, model_id: str, items: Mapping[str, Any]) -> None:
        rows = [{"key": k, "value": str(v), "type": "str"} for k, v in items.items()]
        self.connection.call("models.add_or_update_metadata", model=model_id, metadata=rows)

    def _rows(self, name: str, project: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            page = self.connection.call(
                "models.get_all",
                project=[self._projects.id(project)],
                system_tags=[_mark(name)],
                order_by=["created", "id"],
                page=len(found) // 500,
                page_size=500,
            )["models"]
            found += page
            if len(page) < 500:
                return sorted(found, key=lambda row: (str(row["created"]), str(row["id"])))

    def names(self, project: str) -> list[str]:
        """See the module's `names`."""
        found: set[str] = set()
        page = 0
        while True:
            rows = self.connection.call(
                "models.get_all",
                project=[self._projects.id(project)],
                order_by=["created", "id"],
                page=page,
                page_size=500,
            )["models"]
            found |= {_meta(row)["registry.name"] for row in rows if "registry.name" in _meta(row)}
            if len(rows) < 500:
                return sorted(found)
            page += 1

    def versions(self, name: str, project: str) -> list[ModelVersion]:
        """See the module's `versions`."""
        rows = [row for row in self._rows(name, project) if _version(row)]
        stages = promotions.stages(self.history(name, project))
        found = sorted((_model(row, name, project, stages) for row in rows), key=lambda v: v.version)
        self._show(rows, {v.id: v.stage for v in found})
        return found

    def champion(self, name: str, project: str) -> ModelVersion | None:
        """See the module's `champion`."""
        last = promotions.last(self.history(name, project))
        if last is None or not last.version:
            return None
        row = next((r for r in self._rows(name, project) if r["id"] == last.model_id), None)
        if row is None:
            raise RegistryError(
                f"version {last.version} is champion and is gone", where=f"{project}/{name}", hint="Promote another."
            )
        return _model(row, name, project, {last.model_id: CHAMPION})

    def history(self, name: str, project: str) -> list[Promotion]:
        """See the module's `history`."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.connection.call(
                "tasks.get_all",
                project=[self._log(name, project)],
                system_tags=[_mark(name)],
                search_hidden=True,
                order_by=["created", "id"],
                only_fields=["id", "created", "comment"],
                page=len(found) // 500,
                page_size=500,
            )["tasks"]
            found += page
            if len(page) < 500:
                return promotions.fold(found)

    def _log(self, name: str, project: str) -> str:
        self._projects.id(f"{project}/.registry", ["hidden"])
        return self._projects.id(f"{project}/.registry/{safe_segment(name)}", ["hidden"])

    def promote(self, version: ModelVersion, reason: str, *, expected: ModelVersion | None = None) -> ModelVersion:
        """See the module's `promote`."""
        rows = self._rows(version.name, version.project)
        if version.id not in {row["id"] for row in rows}:
            raise RegistryError("not a registered version", where=f"{version.name} v{version.version}")
        while True:
            last = promotions.last(self.history(version.name, version.project))
            if expected is not None and (last is None or last.model_id != expected.id):
                now = f"v{last.version}" if last else "none"
                raise RegistryError(
                    f"champion is {now}, not v{expected.version}", where=version.name, hint="Look again, then decide."
                )
            if self._append(version.name, version.project, version, last.id if last else "", reason):
                return self._settled(version)

    def rollback(self, name: str, project: str, reason: str = "rollback") -> ModelVersion:
        """See the module's `rollback`."""
        valid = [p for p in self.history(name, project) if p.counts]
        target = promotions.before(valid)
        if target is None:
            raise RegistryError("there is no champion before this one", where=f"{project}/{name}")
        row = next((r for r in self._rows(name, project) if r["id"] == target.model_id), None)
        if row is None:
            raise RegistryError(f"version {target.version} is gone", where=f"{project}/{name}")
        model = _model(row, name, project, {})
        if self._append(name, project, model, valid[-1].id, reason, undo=True):
            return self._settled(model)
        now = self.champion(name, project)
        if now is None:
            raise RegistryError("another change came first, and there is no champion now", where=f"{project}/{name}")
        return now

    def _append(self, name: str, project: str, to: ModelVersion, base: str, reason: str, *, undo: bool = False) -> bool:
        """Write one promotion; whether it counts."""
        entry = {
            "base": base, "version": to.version, "model": to.id, "reason": reason, "by": _who(), "undo": undo,
        }  # fmt: skip
        made = str(
            self.connection.call(
                "tasks.create",
                name=safe_name(f"{name} v{to.version}: {reason}"),
                type="service",
                project=self._log(name, project),
                system_tags=[_mark(name)],
                comment=json.dumps(entry),
            )["id"]
        )
        time.sleep(SETTLE_SECONDS)
        return any(p.id == made and p.counts for p in self.history(name, project))

    def _settled(self, version: ModelVersion) -> ModelVersion:
        found = {v.id: v for v in self.versions(version.name, version.project)}
        return found[version.id]

    def _show(self, rows: Iterable[Mapping[str, Any]], stages: Mapping[str, str]) -> None:
        """Make the stage tags say what the promotions say."""
        for row in rows:
            tags = set(row.get("tags") or ())
            wanted = stages.get(str(row["id"]), CANDIDATE)
            wrong = tags & (set(STAGES) - {wanted})
            if wrong or wanted not in tags:
                self.connection.call("models.edit", model=row["id"], tags=sorted(tags - set(STAGES) | {wanted}))

    def download(self, version: ModelVersion, folder: Path | None = None) -> Path:
        """See the module's `download`."""
        if not version.url:
            raise RegistryError("this version has no file", where=f"{version.name} v{version.version}")
        from clearml import StorageManager  # noqa: PLC0415 - the SDK is heavy; only downloads need this part

        got = StorageManager.get_local_copy(version.url, extract_archive=False)
        if got is None:
            raise RegistryError("its file cannot be fetched", where=version.url, hint="Is the file server up?")
        if folder is None:
            return Path(got)
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{safe_file(version.name)}-v{version.version}{Path(got).suffix}"
        target.write_bytes(Path(got).read_bytes())
        return target


def _model(row: Mapping[str, Any], name: str, project: str, stages: Mapping[str, str]) -> ModelVersion:
    meta = _meta(row)
    task = row.get("task")
    return ModelVersion(
        name=name,
        version=_version(row),
        id=str(row["id"]),
        stage=stages.get(str(row["id"]), CANDIDATE),
        metrics={k.removeprefix("metric."): float(v) for k, v in meta.items() if k.startswith("metric.")},
        metadata={k: v for k, v in meta.items() if not k.startswith(("metric.", "registry."))},
        url=str(row.get("uri") or ""),
        project=project,
        tags=tuple(t for t in row.get("tags") or () if t not in STAGES),
        task_id=str(task["id"] if isinstance(task, Mapping) else task) if task else None,
        framework=str(row.get("framework") or ""),
        created=str(row.get("created") or ""),
    )


def _meta(row: Mapping[str, Any]) -> dict[str, str]:
    """A model's metadata by key, in either form servers give it."""
    raw = row.get("metadata") or {}
    items = raw.values() if isinstance(raw, Mapping) else raw
    return {str(item["key"]): str(item.get("value") or "") for item in items}


def _version(row: Mapping[str, Any]) -> int:
    return int(_meta(row).get("registry.version") or 0)


def _metadata(metrics: Mapping[str, float], metadata: Mapping[str, Any]) -> dict[str, str]:
    numbers = {f"metric.{k}": repr(float(v)) for k, v in metrics.items()}
    texts = {k: v if isinstance(v, str) else json.dumps(v, default=str) for k, v in metadata.items()}
    return {**texts, **numbers}


def _stored(name: str, path_or_obj: Any) -> capture.Stored:
    try:
        return capture.model_of(name, path_or_obj, Options.load())
    except Exception as error:
        raise RegistryError(f"cannot be stored as a model: {error!r}", where=name) from error


def _mark(name: str) -> str:
    return "registry:" + re.sub(r"\s+", " ", name)


def _who() -> str:
    from clearml_utils.lifecycle import CURRENT  # noqa: PLC0415 - Prefect is imported only with the decorators

    run = CURRENT.get()
    return f"prefect:{run}" if run else f"{getpass.getuser()}@{os.uname().nodename}"


def _current_task() -> str | None:
    from clearml_utils.lifecycle import current_record  # noqa: PLC0415 - as above

    record = current_record()
    return record.wait_for_id() if record else None


def _shared() -> Connection:
    from clearml_utils.recorder import recorder  # noqa: PLC0415 - as above

    return recorder().connection


__all__ = [
    "ModelVersion", "Promotion", "Registry", "Rejected", "champion", "download", "history", "promote", "register",
    "rollback", "versions",
]  # fmt: skip
