"""Every error a client can get, in one table: HTTP status, subcode and the words the official server uses.

    ApiError
    ├── raised by handlers through `fail("invalid_task_id", id=...)`, one name per table row
    └── raised by the transport for paths, bodies and tokens it cannot read

A client sees the code, the subcode and the message; a stack trace never leaves the process.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

# name -> (HTTP status, subcode, words)
TABLE: Mapping[str, tuple[int, int, str]] = MappingProxyType(
    {
        "moved_permanently": (301, 1, "This endpoint is no longer supported for the requested api version"),
        "bad_request": (400, 0, "Bad request"),
        "invalid_path": (400, 0, "Invalid request path"),
        "invalid_json": (400, 0, "The browser (or proxy) sent a request that this server could not understand."),
        "not_supported": (400, 1, "Endpoint is not supported"),
        "invalid_version": (400, 4, "Invalid API version"),
        "impersonation_error": (400, 6, "Impersonation error"),
        "invalid_object_id": (400, 10, "Invalid object id"),
        "missing_required_fields": (400, 11, "Missing required fields"),
        "validation_error": (400, 12, "Validation error"),
        "fields_not_allowed_for_role": (400, 13, "Fields not allowed for role"),
        "invalid_field": (400, 14, "Lookup error (probably an invalid field name or unsupported nested field)"),
        "fields_not_defined": (400, 14, "Fields not defined for object"),
        "invalid_fields_value": (400, 16, "Invalid value for fields"),
        "batch_contains_no_items": (400, 17, "Batch request contains no items"),
        "batch_validation_error": (400, 18, "Batch request validation error"),
        "invalid_lucene_syntax": (400, 19, "Malformed lucene query"),
        "fields_type_error": (400, 20, "Invalid type for fields"),
        "invalid_regex": (400, 21, "Malformed regular expression"),
        "invalid_email": (400, 22, "Malformed email address"),
        "invalid_domain_name": (400, 23, "Malformed domain name"),
        "field_is_required": (400, 26, "Field is required"),
        "access_key_not_found": (400, 75, "Access key not found"),
        "general_data_error": (400, 100, "General data error"),
        "invalid_task_id": (400, 101, "Invalid task id"),
        "task_validation_error": (400, 102, "Task validation error"),
        "invalid_task_status": (400, 110, "Invalid task status"),
        "task_not_started": (400, 111, "Task not started (invalid task status)"),
        "task_in_progress": (400, 112, "Task in progress (invalid task status)"),
        "task_published": (400, 113, "Task published (invalid task status)"),
        "invalid_task_input": (400, 120, "Invalid task input"),
        "duplicate_task_ids": (400, 121, "Duplicate ids in request"),
        "task_cannot_be_deleted": (400, 123, "Task cannot be deleted"),
        "failed_changing_task_status": (
            400,
            129,
            "Failed changing task status (probably someone changed it before you)",
        ),
        "invalid_task_requirements": (400, 130, "Task has invalid requirements"),
        "events_not_added": (400, 131, "Events not added"),
        "invalid_model_id": (400, 201, "Invalid model id"),
        "model_not_ready": (400, 202, "Model is not ready"),
        "model_is_ready": (400, 203, "Model is ready"),
        "invalid_model_uri": (400, 204, "Invalid model URI"),
        "model_in_use": (400, 205, "Model is used by tasks"),
        "model_creating_task_exists": (400, 206, "Task that created this model exists"),
        "invalid_user": (400, 300, "Invalid user"),
        "invalid_user_id": (400, 301, "Invalid user id"),
        "user_id_exists": (400, 302, "User id already exists"),
        "invalid_preferences_update": (400, 305, "Malformed key and/or value"),
        "invalid_project_id": (400, 401, "Invalid project id"),
        "project_has_tasks": (400, 402, "Project has associated tasks"),
        "project_has_models": (400, 403, "Project has associated models"),
        "invalid_project_name": (400, 407, "Invalid project name"),
        "cannot_update_project_location": (400, 408, "Cannot update project location. use projects.move instead"),
        "project_path_exceeds_max": (400, 409, "Project path exceed the maximum allowed depth"),
        "project_source_and_destination_are_the_same": (
            400,
            410,
            "Project has the same source and destination paths",
        ),
        "project_cannot_be_moved_under_itself": (
            400,
            411,
            "Project can not be moved under itself in the projects hierarchy",
        ),
        "invalid_queue_id": (400, 701, "Invalid queue id"),
        "queue_not_empty": (400, 702, "Queue is not empty"),
        "invalid_queue_or_task_not_queued": (400, 703, "Invalid queue id or task not in queue"),
        "removed_during_reposition": (400, 704, "Task was removed by another party during reposition"),
        "failed_adding_during_reposition": (400, 705, "Failed adding task back to queue during reposition"),
        "task_already_queued": (400, 706, "Failed adding task to queue since task is already queued"),
        "no_default_queue": (400, 707, "No queue is tagged as the default queue for this company"),
        "multiple_default_queues": (400, 708, "More than one queue is tagged as the default queue for this company"),
        "data_validation_error": (400, 800, "Data validation error"),
        "expected_unique_data": (400, 801, "Value combination already exists"),
        "project_exists": (400, 801, "Project with the same name already exists"),
        "worker_registration_failed": (400, 1001, "Worker failed to register"),
        "worker_not_registered": (400, 1002, "Worker is not registered"),
        "worker_stats_not_found": (400, 1003, "Worker stats not found"),
        "invalid_scroll_id": (400, 1104, "Invalid scroll id"),
        "unauthorized": (401, 1, "Unauthorized"),
        "bad_authentication_type": (401, 10, "Unauthorized (bad authentication header type)"),
        "no_credentials": (401, 20, "Unauthorized (missing credentials)"),
        "bad_credentials": (401, 21, "Unauthorized (malformed credentials)"),
        "invalid_credentials": (401, 22, "Unauthorized (invalid credentials)"),
        "invalid_token": (401, 30, "Invalid token"),
        "blocked_token": (401, 31, "Token is blocked"),
        "invalid_fixed_user": (401, 40, "Fixed user ID was not found"),
        "forbidden": (403, 0, "Forbidden"),
        "role_not_allowed": (403, 20, "Forbidden (not allowed for role)"),
        "not_found": (404, 0, "Unable to find endpoint"),
        "worker_not_found": (404, 1, "Worker not found"),
        "too_large": (413, 0, "The request is larger than this server accepts"),
        "internal_error": (500, 0, "Internal server error"),
        "not_implemented": (501, 0, "This endpoint is part of the API but not implemented by this server"),
    }
)


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple | set):
        return "(" + ", ".join(str(item) for item in value) + ")"
    return str(value)


class ApiError(Exception):
    """An answer other than success.

    Parameters
    ----------
    name
        A row of `TABLE`.
    extra
        Words in brackets after the table's, what exactly was wrong.
    data
        Facts for a program: shown as ``key=value`` and carried in `error_data`.
    """

    def __init__(self, name: str, extra: str | None = None, /, **data: Any) -> None:
        self.name = name
        self.status, self.subcode, words = TABLE[name]
        self.data = data
        self.message = words + (f" ({extra})" if extra else "")
        if data:
            self.message += ": " + ", ".join(f"{key}={_shown(value)}" for key, value in data.items())
        super().__init__(self.message)

    @classmethod
    def raw(cls, name: str, message: str) -> ApiError:
        """Make an error with the row's codes and words of its own."""
        error = cls(name)
        error.message = message
        error.args = (message,)
        return error

    def entry(self) -> dict[str, Any]:
        """What a `*_many` endpoint lists for one failed object."""
        return {"codes": [self.status, self.subcode], "msg": self.message, "data": self.data}


def fail(name: str, extra: str | None = None, /, **data: Any) -> ApiError:
    """`raise fail(...)` reads as what it does."""
    return ApiError(name, extra, **data)


def bad_field(field: str, problem: str) -> ApiError:
    """Tell that the value of one request field is not what the schema says."""
    return fail("validation_error", f"error for field '{field}': {problem}.")
