"""What the endpoints of `organization` accept; the notation is in `grammar`."""

from __future__ import annotations

REQUESTS: dict[str, str] = {
    "get_tags": "include_system:bool filter:(tags:[str] system_tags:[str])",
    "get_entities_count": (
        "projects:dict tasks:dict models:dict pipelines:dict pipeline_runs:dict datasets:dict "
        "dataset_versions:dict search_hidden:bool active_users:[str] reports:dict allow_public:bool limit:int"
    ),
    "prepare_download_for_get_all": (
        "only_fields!:[str]+ allow_public:bool search_hidden:bool entity_type!:<task|model> "
        "field_mappings!:[@field_mapping]"
    ),
    "download_for_get_all": "prepare_id!:str",
    "get_project_usages": (
        "projects!:[str] from_date!:str to_date!:str include_development:bool "
        "breakdown_keys:[<project|user|queue>] usage_fields:[<duration|cpu_usage|gpu_usage>]"
    ),
}
