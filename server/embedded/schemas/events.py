"""What the endpoints of `events` accept; the notation is in `grammar`."""

from __future__ import annotations

REQUESTS: dict[str, str] = {
    "delete_for_task": "task!:str allow_locked:bool",
    "delete_for_model": "model!:str allow_locked:bool",
    "debug_images": (
        "metrics!:[@task_metric_variants] iters:int navigate_earlier:bool refresh:bool scroll_id:str model_events:bool"
    ),
    "plots": (
        "metrics!:[@task_metric_variants] iters:int navigate_earlier:bool refresh:bool scroll_id:str model_events:bool"
    ),
    "get_debug_image_sample": (
        "task!:str metric!:str variant!:str iteration:int refresh:bool scroll_id:str "
        "navigate_current_metric:bool model_events:bool"
    ),
    "next_debug_image_sample": "task!:str scroll_id!:str navigate_earlier:bool next_iteration:bool model_events:bool",
    "get_plot_sample": (
        "task!:str metric!:str iteration:int refresh:bool scroll_id:str navigate_current_metric:bool model_events:bool"
    ),
    "next_plot_sample": "task!:str scroll_id!:str navigate_earlier:bool next_iteration:bool model_events:bool",
    "get_task_metrics": (
        "tasks!:[str]+ "
        "event_type:<eventtype=training_stats_scalar|training_stats_vector|training_debug_image|plot|log> "
        "model_events:bool"
    ),
    "get_multi_task_metrics": (
        "tasks!:[str]+ model_events:bool "
        "event_type:<eventtype=training_stats_scalar|training_stats_vector|training_debug_image|plot|log>"
    ),
    "get_task_log": "task!:str batch_size:int navigate_earlier:bool from_timestamp:num order:<logorderenum=asc|desc>",
    "get_task_events": (
        "task!:str order:<logorderenum=asc|desc> scroll_id:str batch_size:int event_type:str "
        "model_events:bool metrics:[@metric_variants]"
    ),
    "download_task_log": "task!:str line_type:<json|text> line_format:str",
    "get_task_plots": "task!:str iters:int scroll_id:str metrics:[@metric_variants] no_scroll:bool model_events:bool",
    "get_multi_task_plots": (
        "tasks!:[str]+ iters:int scroll_id:str no_scroll:bool model_events:bool "
        "last_iters_per_task_metric:bool metrics:[@metric_variants]"
    ),
    "get_vector_metrics_and_variants": "task!:str model_events:bool",
    "vector_metrics_iter_histogram": "task!:str metric!:str variant!:str model_events:bool",
    "scalar_metrics_iter_histogram": (
        "task!:str samples:int key:<scalarkeyenum=iter|timestamp|iso_time> metrics:[@metric_variants] model_events:bool"
    ),
    "multi_task_scalar_metrics_iter_histogram": (
        "tasks!:[str]+ samples:int key:<scalarkeyenum=iter|timestamp|iso_time> model_events:bool "
        "metrics:[@metric_variants]"
    ),
    "get_task_single_value_metrics": "tasks!:[str]+ model_events:bool metrics:[@metric_variants]",
    "get_task_latest_scalar_values": "task!:str",
    "get_scalar_metrics_and_variants": "task!:str model_events:bool",
    "get_scalar_metric_data": "task:str metric:str scroll_id:str no_scroll:bool model_events:bool",
    "scalar_metrics_iter_raw": (
        "task!:str metric!:@metric_variants key:<scalarkeyenum=iter|timestamp|iso_time> batch_size:int "
        "count_total:bool scroll_id:str model_events:bool"
    ),
    "clear_scroll": "scroll_id!:str",
    "clear_task_log": "task!:str allow_locked:bool threshold_sec:int include_metrics:[str] exclude_metrics:[str]",
}
