"""What the endpoints of `serving` accept; the notation is in `grammar`."""

from __future__ import annotations

REQUESTS: dict[str, str] = {
    "register_container": (
        "container_id!:str endpoint_name!:str endpoint_url:str model_name!:str model_source:str "
        "model_version:str preprocess_artifact:str input_type:str input_size:str "
        "reference:[(type!:<app_id|app_instance|model|task|url> value!:str)] timeout:int"
    ),
    "unregister_container": "container_id!:str",
    "container_status_report": (
        "container_id!:str endpoint_name!:str endpoint_url:str model_name!:str model_source:str "
        "model_version:str preprocess_artifact:str input_type:str input_size:str "
        "reference:[(type!:<app_id|app_instance|model|task|url> value!:str)] uptime_sec:int requests_num:int "
        "requests_min:num latency_ms:int machine_stats:any"
    ),
    "get_endpoint_details": "endpoint_url!:str",
    "get_endpoint_metrics_history": (
        "endpoint_url!:str from_date!:num to_date!:num interval!:int metric_type:str instance_charts:bool"
    ),
}
