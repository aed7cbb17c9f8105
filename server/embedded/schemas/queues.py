"""What the endpoints of `queues` accept; the notation is in `grammar`."""

from __future__ import annotations

REQUESTS: dict[str, str] = {
    "get_by_id": "queue!:str max_task_entries:int",
    "get_by_task_id": "task!:str",
    "get_all_ex": (
        "name:str id:strs tags:strs system_tags:strs page:page page_size:page order_by:strs search_text:str "
        "only_fields:strs scroll_id:str refresh_scroll:bool size:int max_task_entries:int search_hidden:bool "
        "filters:any"
    ),
    "get_all": (
        "name:str id:strs tags:strs system_tags:strs page:page page_size:page order_by:strs search_text:str "
        "only_fields:strs scroll_id:str refresh_scroll:bool size:int max_task_entries:int search_hidden:bool"
    ),
    "create": "name!:str tags:~[str] system_tags:~[str] metadata:any display_name:~str",
    "update": "queue!:str name:str tags:~[str] system_tags:~[str] metadata:any display_name:~str",
    "delete": "queue!:str force:bool",
    "add_task": "queue!:str task!:str update_execution_queue:bool",
    "get_next_task": "queue!:str get_task_info:bool task:str",
    "remove_task": "queue!:str task!:str update_task_status:bool",
    "clear_queue": "queue!:str",
    "move_task_forward": "queue!:str task!:str count:int",
    "move_task_backward": "queue!:str task!:str count:int",
    "move_task_to_front": "queue!:str task!:str",
    "move_task_to_back": "queue!:str task!:str",
    "get_queue_metrics": "from_date!:num to_date!:num interval!:int queue_ids:[str] refresh:bool",
    "add_or_update_metadata": "queue!:str metadata!:[@metadata_item] replace_metadata:bool",
    "delete_metadata": "queue!:str keys!:[str]",
    "peek_task": "queue!:str",
    "get_num_entries": "queue!:str",
}
