"""Structures that more than one request schema uses."""

from __future__ import annotations

STRUCTURES: dict[str, str] = {
    "artifact": (
        "key!:str type!:str mode:<input|output> uri:str content_size:int hash:str timestamp:int "
        "type_data:dict display_data:[[any]]"
    ),
    "artifact_id": "key!:str mode:<input|output>",
    "aws": "key:str secret:str region:str token:str use_credentials_chain:bool buckets:[@aws_bucket]",
    "aws_bucket": (
        "bucket:str subdir:str host:str key:str secret:str token:str multipart:bool acl:str secure:bool "
        "region:str verify:bool use_credentials_chain:bool"
    ),
    "azure": "containers:[@azure_container]",
    "azure_container": "account_name:str account_key:str container_name:str",
    "configuration_item": "name:str value:any type:str description:str",
    "field_mapping": "field!:str name:str values:[@value_mapping]",
    "google": "project:str credentials_json:str buckets:[@google_bucket]",
    "google_bucket": "bucket:str project:str subdir:str credentials_json:str",
    "metadata_item": "key!:str type:str value:any",
    "metric_variants": "metric:str variants:[str]",
    "param_key": "section:str name:str",
    "params_item": "section:str name:str value:any type:str description:str",
    "stat_item": "key!:str category:<avg|min|max>",
    "task_metric_variants": "task!:str metric:str variants:[str]",
    "value_mapping": "key:any value:any",
}
