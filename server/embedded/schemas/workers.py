"""What the endpoints of `workers` accept; the notation is in `grammar`."""

from __future__ import annotations

REQUESTS: dict[str, str] = {
    "get_all": "last_seen:int tags:strs system_tags:strs worker_pattern:str",
    "get_count": "last_seen:int tags:[str] system_tags:[str] worker_pattern:str",
    "register": "worker!:str timeout:int queues:[str] tags:[str] system_tags:[str] resources:dict",
    "unregister": "worker!:str",
    "status_report": (
        "worker!:str task:str queue:str queues:[str] timestamp!:num machine_stats:any tags:[str] system_tags:[str]"
    ),
    "get_metric_keys": "worker_ids:[str]",
    "get_stats": (
        "worker_ids:[str] from_date!:num to_date!:num interval!:int items!:[@stat_item] split_by_variant:bool "
        "split_by_resource:bool"
    ),
    "get_activity_report": "from_date!:num to_date!:num interval!:int",
}
