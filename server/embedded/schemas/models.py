"""What the endpoints of `models` accept; the notation is in `grammar`."""

from __future__ import annotations

REQUESTS: dict[str, str] = {
    "get_by_id": "model!:str",
    "get_by_task_id": "task:str",
    "get_by_id_ex": (
        "name:str user:strs ready:any tags:strs system_tags:strs only_fields:strs page:page page_size:page "
        "project:strs order_by:strs task:strs id:strs search_text:str framework:strs uri:strs "
        "last_update:strs _all_:any _any_:any"
    ),
    "get_all_ex": (
        "name:str user:strs ready:any tags:strs system_tags:strs only_fields:strs page:page page_size:page "
        "project:strs order_by:strs task:strs id:strs search_text:str framework:strs uri:strs "
        "last_update:strs _all_:any _any_:any include_subprojects:bool scroll_id:str refresh_scroll:bool "
        "size:int include_stats:bool allow_public:bool filters:any"
    ),
    "get_all": (
        "name:str user:strs ready:any tags:strs system_tags:strs only_fields:strs page:page page_size:page "
        "project:strs order_by:strs task:strs id:strs search_text:str framework:strs uri:strs "
        "last_update:strs _all_:any _any_:any scroll_id:str refresh_scroll:bool size:int "
        "include_subprojects:bool"
    ),
    "get_frameworks": "projects:[str]",
    "update_for_task": (
        "task!:str uri:str name:str comment:str tags:[str] system_tags:[str] override_model_id:str iteration:int"
    ),
    "create": (
        "uri!:str name!:str comment:~str tags:~[str] system_tags:~[str] framework:~str design:~dict "
        "labels:any ready:bool public:bool project:str parent:~str task:str"
    ),
    "edit": (
        "model!:str uri:str name:str comment:~str tags:~[str] system_tags:~[str] framework:~str design:~dict "
        "labels:any ready:bool project:str parent:~str task:str iteration:~int"
    ),
    "update": (
        "model!:str name:str comment:~str tags:~[str] system_tags:~[str] ready:bool created:~str "
        "ui_cache:~dict project:str task:str iteration:~int"
    ),
    "publish_many": "ids!:[str]+ force_publish_task:bool publish_tasks:bool",
    "set_ready": "model!:str force_publish_task:bool publish_task:bool",
    "archive_many": "ids!:[str]+",
    "unarchive_many": "ids!:[str]+",
    "delete_many": "ids!:[str]+ force:bool",
    "delete": "model!:str force:bool",
    "make_public": "ids!:[str]+",
    "make_private": "ids!:[str]+",
    "move": "ids!:[str]+ project:str project_name:str",
    "add_or_update_metadata": "model!:str metadata!:[@metadata_item] replace_metadata:bool",
    "delete_metadata": "model!:str keys!:[str]",
    "update_tags": "ids!:[str]+ add_tags:[str] remove_tags:[str]",
}
