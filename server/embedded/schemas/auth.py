"""What the endpoints of `auth` accept; the notation is in `grammar`."""

from __future__ import annotations

REQUESTS: dict[str, str] = {
    "login": "expiration_sec:int",
    "get_token_for_user": "user!:str company:str expiration_sec:int",
    "validate_token": "token!:str",
    "create_user": (
        "name!:str company!:str email!:str role:<admin|superuser|user|annotator> given_name:str "
        "family_name:str avatar:str"
    ),
    "create_credentials": "label:str",
    "edit_credentials": "access_key!:str label:str",
    "revoke_credentials": "access_key!:str",
    "edit_user": "user:str role:<admin|superuser|user|annotator>",
}
