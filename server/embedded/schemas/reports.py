"""What the endpoints of `reports` accept; the notation is in `grammar`."""

from __future__ import annotations

REQUESTS: dict[str, str] = {
    "create": "name!:str tags:~[str] comment:~str report:~str project:str report_assets:~[str]",
    "update": "task!:str name:str tags:~[str] comment:~str report:~str report_assets:~[str]",
    "move": "task!:str project:str project_name:str",
    "publish": "task!:str comment:str",
    "archive": "task!:str comment:str",
    "unarchive": "task!:str comment:str",
    "delete": "task!:str force:bool",
    "get_task_data": (
        "id:strs name:str user:strs size:int order_by:strs type:strs tags:strs system_tags:strs status:strs "
        "project:strs only_fields:strs parent:strs status_changed:strs search_text:str allow_public:bool "
        "_all_:any _any_:any input.view.entries.dataset:strs input.view.entries.version:strs "
        "search_hidden:bool include_subprojects:bool plots:(iters:int metrics:[@metric_variants] "
        "last_iters_per_task_metric:bool) debug_images:(iters:int metrics:[@metric_variants]) "
        "scalar_metrics_iter_histogram:(samples:int key:<iter|timestamp|iso_time> metrics:[@metric_variants]) "
        "model_events:bool single_value_metrics:dict"
    ),
    "get_all_ex": (
        "id:strs name:str user:strs page:page page_size:page order_by:strs tags:strs system_tags:strs "
        "status:strs project:strs only_fields:strs status_changed:strs search_text:str scroll_id:str "
        "refresh_scroll:bool size:int allow_public:bool _all_:any _any_:any include_subprojects:bool "
        "filters:any"
    ),
}
