"""What the endpoints of `tasks` accept; the notation is in `grammar`."""

from __future__ import annotations

REQUESTS: dict[str, str] = {
    "get_by_id": "task!:str",
    "get_by_id_ex": (
        "id!!:strs name:str user:strs project:strs page:page page_size:page order_by:strs type:strs tags:strs "
        "system_tags:strs status:strs only_fields:strs parent:strs status_changed:strs search_text:str "
        "_all_:any _any_:any"
    ),
    "get_all_ex": (
        "id:strs name:str user:strs project:strs page:page page_size:page order_by:strs type:strs tags:strs "
        "system_tags:strs status:strs only_fields:strs parent:strs status_changed:strs search_text:str "
        "_all_:any _any_:any include_subprojects:bool search_hidden:bool scroll_id:str refresh_scroll:bool "
        "size:int allow_public:bool filters:any"
    ),
    "get_all": (
        "id:strs name:str user:strs project:strs page:page page_size:page order_by:strs type:strs tags:strs "
        "system_tags:strs status:strs only_fields:strs parent:strs status_changed:strs search_text:str "
        "_all_:any _any_:any search_hidden:bool scroll_id:str refresh_scroll:bool size:int "
        "include_subprojects:bool"
    ),
    "get_types": "projects:[str]",
    "clone": (
        "task!:str new_task_name:~str new_task_comment:~str new_task_tags:~[str] new_task_system_tags:~[str] "
        "new_task_parent:~str new_task_project:~str new_task_hyperparams:params new_task_configuration:~dict "
        "execution_overrides:~dict validate_references:bool new_project_name:~str "
        "new_task_input_models:~[dict] new_task_container:~dict"
    ),
    "edit_runtime": "task!:str add_or_update:{str} remove:[str] force:bool",
    "add_or_update_model": "task!:str name!:str model!:str type!:<input|output> iteration:int",
    "delete_models": "task!:str models!:[(name!:str type!:<input|output>)]",
    "create": (
        "name!:str tags:~[str] system_tags:~[str] "
        "type!:<training|testing|inference|data_processing|application|monitor|controller|optimizer|service|qc|custom> "
        "comment:~str parent:~str project:str output_dest:~str execution:~dict script:~dict "
        "hyperparams:params configuration:~dict models:~dict container:~dict"
    ),
    "validate": (
        "name!:str tags:~[str] system_tags:~[str] "
        "type!:<training|testing|inference|data_processing|application|monitor|controller|optimizer|service|qc|custom> "
        "comment:~str parent:~str project:str output_dest:~str execution:~dict script:~dict "
        "hyperparams:params configuration:~dict models:~dict container:~dict"
    ),
    "update": (
        "task!:str name:str tags:~[str] system_tags:~[str] comment:~str project:str output__error:~str created:~str"
    ),
    "edit": (
        "task!:str force:bool name:str tags:~[str] system_tags:~[str] "
        "type:<training|testing|inference|data_processing|application|monitor|controller|optimizer|service|qc|custom> "
        "comment:~str parent:~str project:str output_dest:~str execution:~dict script:~dict "
        "hyperparams:params configuration:~dict models:~dict container:~dict runtime:~dict"
    ),
    "reset": (
        "force:bool clear_all:bool task!:str status_reason:str status_message:str return_file_urls:bool "
        "delete_output_models:bool delete_external_artifacts:bool"
    ),
    "reset_many": (
        "ids!:[str]+ force:bool clear_all:bool return_file_urls:bool delete_output_models:bool "
        "delete_external_artifacts:bool"
    ),
    "delete_many": (
        "ids!:[str]+ move_to_trash:bool force:bool return_file_urls:bool delete_output_models:bool "
        "delete_external_artifacts:bool include_pipeline_steps:bool"
    ),
    "delete": (
        "move_to_trash:bool force:bool task!:str status_reason:str status_message:str return_file_urls:bool "
        "delete_output_models:bool delete_external_artifacts:bool include_pipeline_steps:bool"
    ),
    "archive": "tasks!:[str]+ status_reason:str status_message:str include_pipeline_steps:bool",
    "archive_many": "ids!:[str]+ status_reason:str status_message:str include_pipeline_steps:bool",
    "unarchive_many": "ids!:[str]+ status_reason:str status_message:str include_pipeline_steps:bool",
    "started": "force:bool task!:str status_reason:str status_message:str",
    "stop": "force:bool task!:str status_reason:str status_message:str include_pipeline_steps:bool",
    "stop_many": "ids!:[str]+ status_reason:str status_message:str force:bool include_pipeline_steps:bool",
    "stopped": "force:bool task!:str status_reason:str status_message:str",
    "failed": "force:bool task!:str status_reason:str status_message:str",
    "close": "force:bool task!:str status_reason:str status_message:str",
    "publish": "force:bool publish_model:bool task!:str status_reason:str status_message:str",
    "publish_many": "ids!:[str]+ status_reason:str status_message:str force:bool publish_model:bool",
    "enqueue": (
        "queue:str task!:str status_reason:str status_message:str queue_name:str verify_watched_queue:bool "
        "update_execution_queue:bool"
    ),
    "enqueue_many": (
        "ids!:[str]+ status_reason:str status_message:str queue:str validate_tasks:bool queue_name:str "
        "verify_watched_queue:bool"
    ),
    "dequeue": "task!:str status_reason:str status_message:str remove_from_all_queues:bool new_status:str",
    "dequeue_many": "ids!:[str]+ status_reason:str status_message:str remove_from_all_queues:bool new_status:str",
    "set_requirements": "task!:str requirements!:dict",
    "completed": "force:bool task!:str status_reason:str status_message:str publish:bool",
    "ping": "task!:str",
    "add_or_update_artifacts": "task!:str artifacts!:[@artifact] force:bool",
    "delete_artifacts": "task!:str artifacts!:[@artifact_id] force:bool",
    "make_public": "ids!:[str]+",
    "make_private": "ids!:[str]+",
    "get_hyper_params": "tasks!:[str]+",
    "edit_hyper_params": "task!:str hyperparams!:[@params_item] replace_hyperparams:<none|section|all> force:bool",
    "delete_hyper_params": "task!:str hyperparams!:[@param_key] force:bool",
    "get_configurations": "tasks!:[str]+ names:[str]",
    "get_configuration_names": "tasks!:[str]+ skip_empty:bool",
    "edit_configuration": "task!:str configuration!:[@configuration_item] replace_configuration:bool force:bool",
    "delete_configuration": "task!:str configuration!:[str] force:bool",
    "move": "ids!:[str]+ project:str project_name:str",
    "update_tags": "ids!:[str]+ add_tags:[str] remove_tags:[str]",
}
