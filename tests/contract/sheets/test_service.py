"""The server as a service: signing in, faults, quotas, errors, limits, the page, starting and stopping."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import gspread
import jwt
import pytest
import requests
from google.auth.transport.requests import Request
from google.oauth2.service_account import Credentials

from server.sheets.coverage import render
from tests.contract.sheets.conftest import SCOPES, connect, token_of
from tests.services import running, start

pytestmark = pytest.mark.xdist_group("sheets")
ROOT = Path(__file__).parents[3]


def assertion(key, **changes):
    """A signed assertion as google-auth makes it, with changes."""
    now = int(time.time())
    claims = {"iss": key["client_email"], "aud": key["token_uri"], "iat": now, "exp": now + 3600, "scope": SCOPES[0]}
    return jwt.encode({**claims, **changes}, key["private_key"], algorithm="RS256")


def grant(service, signed):
    """Ask the token endpoint."""
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": signed}
    return requests.post(service.ready["urls"]["token"], data=form, timeout=10)


def test_the_key_is_private_and_signs_in(server):
    """google-auth gets a token with the key file as it is, readable by its owner only."""
    path = Path(server.ready["credentials"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert token_of(server).startswith("ya29.")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"aud": "https://elsewhere.example/token"}, "Audience"),
        ({"exp": 1}, "expired"),
        ({"iss": "other@example.org"}, "account not found"),
        ({"exp": int(time.time()) + 90_000}, "short-lived"),
    ],
)
def test_wrong_assertions_are_refused(server, changes, word):
    """Audience, expiry, issuer and lifetime are checked, each with OAuth's invalid_grant."""
    answer = grant(server, assertion(json.loads(Path(server.ready["credentials"]).read_text()), **changes))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert word in answer.json()["error_description"]


def test_an_assertion_signed_by_another_key_is_refused(server, tmp_path):
    """Only the key the server made signs in."""
    with running("server.sheets", tmp_path, ["--port", "0"]) as other:
        theirs = json.loads(Path(other.ready["credentials"]).read_text())
    mine = json.loads(Path(server.ready["credentials"]).read_text())
    answer = grant(server, assertion({**theirs, "client_email": mine["client_email"], "token_uri": mine["token_uri"]}))
    assert answer.json()["error_description"] == "Invalid JWT Signature."


def test_a_token_of_no_one_is_unauthenticated(root):
    """401 with Google's body."""
    answer = requests.get(f"{root}/v4/spreadsheets/x", headers={"Authorization": "Bearer no"}, timeout=10)
    assert (answer.status_code, answer.json()["error"]["status"]) == (401, "UNAUTHENTICATED")


def test_a_token_without_drive_scope_cannot_list_files(server, root):
    """403 where the scopes do not reach."""
    credentials = Credentials.from_service_account_file(server.ready["credentials"], scopes=SCOPES[:1])
    credentials.refresh(Request())
    headers = {"Authorization": f"Bearer {credentials.token}"}
    answer = requests.get(f"{root}/drive/v3/files", headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["error"]["errors"][0]["domain"]) == (403, "global")


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}])
def test_web_pages_elsewhere_get_nothing(root, headers):
    """A foreign Host or Origin is refused: browsers cannot be made to write here."""
    assert requests.post(f"{root}/v4/spreadsheets", headers=headers, json={}, timeout=10).status_code == 403


@pytest.fixture
def faulty(tmp_path):
    """A server of its own, to break."""
    with running("server.sheets", tmp_path, ["--port", "0"]) as service:
        yield service


def fault(service, **rule):
    """Put a rule in force."""
    requests.post(f"{service.ready['urls']['api']}/admin/faults", json=rule, timeout=10).raise_for_status()


def test_faults_are_injected_by_rule(faulty):
    """Each kind does what it says, as often as it says, and work behind an after_commit fault is done."""
    sheet = connect(faulty).create("x").sheet1
    fault(faulty, kind="after_commit", match={"path": ":append$"}, times=1)
    with pytest.raises(gspread.exceptions.APIError) as caught:
        sheet.append_row(["once"])
    assert caught.value.code == 503
    assert sheet.get_all_values() == [["once"]]
    fault(faulty, kind="status", status=500, match={"method": "POST"}, times=1)
    with pytest.raises(gspread.exceptions.APIError):
        sheet.append_row(["never"])
    fault(faulty, kind="drop", match={"path": ":append$"}, after_commit=True, times=1)
    with pytest.raises(requests.exceptions.RequestException):
        sheet.append_row(["twice"])
    assert sheet.get_all_values() == [["once"], ["twice"]]


@pytest.mark.parametrize(("kind", "error"), [("revoked", PermissionError), ("vanished", gspread.SpreadsheetNotFound)])
def test_a_revoked_or_vanished_sheet_is_what_gspread_says(faulty, kind, error):
    """403 and 404 reach gspread as its own exceptions; clearing the rules ends it."""
    gc = connect(faulty)
    made = gc.create("x")
    fault(faulty, kind=kind, match={"path": made.id})
    with pytest.raises(error):
        gc.open_by_key(made.id)
    requests.delete(f"{faulty.ready['urls']['api']}/admin/faults", timeout=10)
    assert gc.open_by_key(made.id).title == "x"


def test_chance_is_repeatable(faulty):
    """The same seed fails the same calls."""
    api = faulty.ready["urls"]["api"]

    def pattern():
        requests.delete(f"{api}/admin/faults", timeout=10)
        fault(faulty, kind="status", status=503, probability=0.5, seed=7)
        return [requests.get(f"{api}/drive/v3/files", timeout=10).status_code for _ in range(20)]

    first = pattern()
    assert set(first) == {200, 503}
    assert pattern() == first


def test_a_rule_that_means_nothing_is_refused(root):
    """An unknown kind or name is a 400, not a rule that never fires."""
    for rule in ({"kind": "nonsense"}, {"kind": "drop", "prob": 1}, {"kind": "drop", "match": {"path": "("}}):
        assert requests.post(f"{root}/admin/faults", json=rule, timeout=10).status_code == 400


def test_quotas_can_be_switched_on(faulty):
    """The call above the quota is 429 RESOURCE_EXHAUSTED with Google's details; reads and writes count apart."""
    api = faulty.ready["urls"]["api"]
    gc = connect(faulty)
    made = gc.create("x")
    requests.post(f"{api}/admin/quota", json={"per_user": 3}, timeout=10).raise_for_status()
    for _ in range(3):
        made.fetch_sheet_metadata()
    with pytest.raises(gspread.exceptions.APIError) as caught:
        made.fetch_sheet_metadata()
    assert (caught.value.code, caught.value.error["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert caught.value.error["details"][0]["metadata"]["quota_limit_value"] == "3"
    made.values_update("A1", params={"valueInputOption": "RAW"}, body={"values": [[1]]})


def test_revoked_tokens_are_renewed_by_the_client(faulty):
    """After a 401 google-auth signs in again; nobody notices."""
    gc = connect(faulty)
    made = gc.create("x")
    assert requests.post(f"{faulty.ready['urls']['api']}/admin/revoke-tokens", timeout=10).json()["revoked"] == 1
    assert made.sheet1.get_all_values() == [[]]


def test_anonymous_calls_can_be_refused(tmp_path):
    """With --require-auth a call without a token is 403."""
    with running("server.sheets", tmp_path, ["--port", "0", "--require-auth"]) as service:
        assert requests.get(f"{service.ready['urls']['api']}/drive/v3/files", timeout=10).status_code == 403
        assert connect(service).create("x").title == "x"


def test_a_signal_stops_it_with_exit_code_0(tmp_path):
    """SIGINT and SIGTERM end it cleanly."""
    for number in (2, 15):
        service = start("server.sheets", tmp_path, "--port", "0")
        service.process.send_signal(number)
        assert service.process.wait(20) == 0


def test_a_taken_port_and_a_foreign_host_are_named(server, tmp_path):
    """Exit 2 and a line that names the option."""
    port = server.ready["urls"]["api"].rpartition(":")[2]
    for options, word in ((["--port", port], "--port"), (["--host", "0.0.0.0"], "--host")):
        command = [sys.executable, "-m", "server.sheets", "--data", str(tmp_path), *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ})
        assert (done.returncode, word in done.stderr, done.stdout) == (2, True, "")


def append_until_killed(service, sheet, prefix, count):
    """Append in a thread and kill the server while it goes on; the rows that were answered for."""
    answered, enough = [], threading.Event()

    def appending():
        with contextlib.suppress(requests.exceptions.RequestException):
            for number in itertools.count():
                sheet.append_row([f"{prefix}.{number}"], table_range="A1")
                answered.append(f"{prefix}.{number}")
                if len(answered) >= count:
                    enough.set()

    writer = threading.Thread(target=appending)
    writer.start()
    assert enough.wait(60)
    service.kill()
    writer.join(60)
    return answered


def test_acknowledged_appends_survive_sigkill(tmp_path):
    """Killed in the middle of appends, it has every row it answered for, once, in order, and at most one more each time."""
    expected, file_id = [], None
    for round_number in range(3):
        service = start("server.sheets", tmp_path, "--port", "0")
        gc = connect(service)
        file_id = file_id or gc.create("x").id
        sheet = gc.open_by_key(file_id).sheet1
        rows = [row[0] for row in sheet.get_all_values() if row]
        assert rows[: len(expected)] == expected
        assert len(rows) <= len(expected) + 1
        expected = rows + append_until_killed(service, sheet, round_number, 3 + 4 * round_number)
    with running("server.sheets", tmp_path, ["--port", "0"]) as service:
        rows = connect(service).open_by_key(file_id).sheet1.col_values(1)
    assert rows[: len(expected)] == expected
    assert len(rows) <= len(expected) + 1


def test_the_page_shows_cells_and_escapes_them(server, root):
    """A person can look at the answers; what somebody typed is text there."""
    made = connect(server).create("<b>Ответы</b>")
    made.sheet1.update([["<script>x</script>", "=1/0", 5]], "A1", value_input_option="USER_ENTERED")
    page = requests.get(root, params={"id": made.id}, timeout=10)
    assert "&lt;script&gt;x&lt;/script&gt;" in page.text
    assert "<script>" not in page.text
    assert "#DIV/0!" in page.text
    assert "&lt;b&gt;Ответы" in requests.get(root, timeout=10).text
    assert requests.get(root, params={"id": "none"}, timeout=10).status_code == 404


def test_the_coverage_page_is_up_to_date():
    """COVERAGE.md says what the server's own tables say."""
    assert (ROOT / "server" / "sheets" / "COVERAGE.md").read_text() == render()
