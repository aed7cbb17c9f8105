"""What the endpoints of `users` accept; the notation is in `grammar`."""

from __future__ import annotations

REQUESTS: dict[str, str] = {
    "get_by_id": "user!:str",
    "get_all_ex": "name:str id:strs only_fields:strs page:page page_size:page order_by:strs active_in_projects:strs",
    "get_all": "name:str id:strs only_fields:strs page:page page_size:page order_by:strs",
    "delete": "user!:str",
    "create": "id!:str company!:str name!:str given_name:str family_name:str avatar:str",
    "update": "user!:~str name:str given_name:~str family_name:~str avatar:~str",
    "set_preferences": "preferences!:dict return_updated:bool",
}
