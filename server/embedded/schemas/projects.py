"""What the endpoints of `projects` accept; the notation is in `grammar`."""

from __future__ import annotations

REQUESTS: dict[str, str] = {
    "create": "name!!:str description:~str tags:~[str] system_tags:~[str] default_output_destination:~str",
    "get_by_id": "project!:str",
    "get_all": (
        "id:strs name:str basename:str description:str tags:strs system_tags:strs order_by:strs page:page "
        "page_size:page search_text:str only_fields:strs _all_:any _any_:any shallow_search:bool "
        "search_hidden:bool scroll_id:str refresh_scroll:bool size:int"
    ),
    "get_all_ex": (
        "id:strs name:str basename:str description:str tags:strs system_tags:strs order_by:strs page:page "
        "page_size:page search_text:str only_fields:strs _all_:any _any_:any include_stats:bool "
        "stats_for_state:str non_public:bool active_users:strs shallow_search:bool check_own_contents:bool "
        "search_hidden:bool scroll_id:str refresh_scroll:bool size:int stats_with_children:bool "
        "include_stats_filter:dict include_dataset_stats:bool allow_public:bool children_type:str "
        "children_tags:strs filters:any children_tags_filter:(any:(include:[str] exclude:[str]) "
        "all:(include:[str] exclude:[str]) op:<and|or>)"
    ),
    "update": "project!:str name:str description:~str tags:~[str] system_tags:~[str] default_output_destination:~str",
    "move": "project!:str new_location:str",
    "merge": "project!:str destination_project:str",
    "validate_delete": "project!:str",
    "delete": "project!:str force:bool delete_contents:bool delete_external_artifacts:bool",
    "get_unique_metric_variants": "project:str include_subprojects:bool model_metrics:bool ids:[str]",
    "get_hyperparam_values": (
        "projects:[str] section!:str name!:str allow_public:bool include_subprojects:bool page:int "
        "page_size:int pattern:str"
    ),
    "get_hyper_parameters": "project:str page:int page_size:int include_subprojects:bool",
    "get_model_metadata_values": (
        "projects:[str] key!:str allow_public:bool include_subprojects:bool page:int page_size:int"
    ),
    "get_model_metadata_keys": "project:str include_subprojects:bool page:int page_size:int",
    "get_project_tags": "include_system:bool projects:[str] filter:(tags:[str] system_tags:[str])",
    "get_task_tags": "include_system:bool projects:[str] filter:(tags:[str] system_tags:[str])",
    "get_model_tags": "include_system:bool projects:[str] filter:(tags:[str] system_tags:[str])",
    "make_public": "ids!:[str]+",
    "make_private": "ids!:[str]+",
    "get_task_parents": "projects:[str] tasks_state:<active|archived> include_subprojects:bool task_name:str",
    "get_user_names": "projects:[str] include_subprojects:bool entity:<task|model>",
}
