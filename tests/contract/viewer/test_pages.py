"""The viewer's pages as an HTTP client gets them."""

from __future__ import annotations

import base64
import json
import re

import bcrypt
import httpx
import pytest

from tests.contract.viewer.filled import Api, Filled, plot
from tests.services import running

pytestmark = pytest.mark.xdist_group("viewer")
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PORTS = ("--api-port", "0", "--files-port", "0", "--web-port", "0")


def test_links_that_the_sdk_prints_resolve(filled: Filled, get):
    """Addresses of the web app open the same thing here: log, scalars, plots, models, comparisons, pipelines, reports."""
    project, task, model = filled.project, filled.tasks[0], filled.models[0]
    for path, words in {
        f"/projects/{project}/experiments/{task}/output/log": "line 699 of 0",
        f"/projects/*/experiments/{task}/output/log": "line 699 of 0",
        f"/projects/{project}/experiments/{task}/info-output/metrics/scalar": "loss by iteration",
        f"/projects/{project}/experiments/{task}/info-output/metrics/plots": "bars / v",
        f"/projects/{project}/experiments/{task}/artifacts/other/frame": "SHA-256",
        f"/projects/{project}/tasks/{task}/hyper-params/hyper-param/Args": "Parameters",
        f"/projects/*/compare-experiments;ids={task},{filled.tasks[1]}/details": "Comparison of 2 experiments",
        f"/projects/*/compare-models;ids={','.join(filled.models)}/models-details": "Comparison of 2 models",
        f"/projects/{project}/models/{model}/general": "forecaster",
        f"/projects/{project}/experiments": "Experiments of study",
        f"/pipelines/{project}/experiments/{filled.pipeline}": "analyse: running",
        f"/pipelines/{project}/tasks/{filled.pipeline}/details": "analyse: running",
        f"/datasets/simple/{project}/experiments/{task}": "run 0",
        f"/reports/{filled.report_project}/{filled.report}": "Wellbeing of the group",
        "/settings/workspace-configuration": "CLEARML_API_HOST=http://127.0.0.1",
        "/workers-and-queues/queues": "default",
    }.items():
        answer = get(path)
        assert (path, answer.status_code, words in answer.text) == (path, 200, True)


@pytest.mark.parametrize(
    "path",
    ["/tasks/nope", "/projects/nope", "/models/nope", "/pipelines/x/experiments/nope", "/reports/x/nope", "/nothing"],
)
def test_what_is_not_there_is_a_page_that_says_so(get, path):
    """An unknown id or address answers 404 with a page, not a traceback."""
    answer = get(path)
    assert (answer.status_code, "Not found" in answer.text) == (404, True)


def test_nothing_reported_becomes_markup(filled: Filled, get):
    """Names, logs, plots, reports and links are data: no script, no javascript: link, no foreign image comes out."""
    task = filled.tasks[0]
    pages = [get(f"/tasks/{task}?tab={tab}").text for tab in ("overview", "plots", "artifacts", "log")]
    pages += [get(f"/projects/{filled.project}").text, get(f"/reports/x/{filled.report}").text]
    for text in pages:
        assert "<script>alert" not in text
        assert "<b>p2" not in text
        assert 'href="javascript:' not in text
        assert "elsewhere.example" not in text
    assert "run 0 &lt;&amp;&gt;" in pages[0]
    assert "<strong>What</strong>" in pages[4]


def test_every_page_forbids_what_is_not_its_own(filled: Filled, get):
    """Pages carry a policy under which no script, style or picture of another host is loaded."""
    policy = get("/").headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


def test_another_sites_name_for_this_machine_is_refused(filled: Filled, get):
    """A page of another site cannot read these through a name that resolves to this machine."""
    answer = httpx.get(f"{filled.web}/", headers={"Host": "evil.example"})
    assert (answer.status_code, "Mood" in answer.text) == (421, False)


def test_a_page_that_did_not_change_is_not_sent_again(get, filled: Filled):
    """The graph that a page polls costs nothing while nothing happens."""
    path = f"{filled.web}/pipelines/x/experiments/{filled.pipeline}/graph"
    first = httpx.get(path)
    again = httpx.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_report_draws_the_charts_it_embeds(filled: Filled, get):
    """A chart of the web app embedded in a report is drawn from the task it names; tables of Markdown are tables."""
    text = get(f"/reports/{filled.report_project}/{filled.report}").text
    assert text.count('<svg class="chart"') == 1
    assert "<td>1</td>" in text
    assert text.count("<table>") == text.count('class="scroll"') == 2, "each in a frame of its own, none in two"
    assert "<td>2.25</td>" in text, "an embedded table is a table"


def test_a_comparison_tells_what_differs(filled: Filled, get):
    """Parameters that are the same are counted, those that differ are shown, metrics have their distance from the first."""
    text = get(f"/projects/*/compare-experiments;ids={','.join(filled.tasks[:3])}").text
    assert "Args/rate" in text
    assert "Args/same" not in text
    assert "1 the same" in text
    assert ">+0.1<" in text.replace(" ", "")
    assert ">+0.2<" in text.replace(" ", "")


def test_versions_of_a_model_are_compared_by_the_numbers_they_were_registered_with(filled: Filled, get):
    """Numbers of a registry (`metric.NAME` in the metadata) are metrics with their distance; other metadata stays text."""
    api = filled.api
    ids = []
    for number in (1, 2):
        told = [
            {"key": "metric.mae", "type": "str", "value": f"0.{number}"},
            {"key": "metric.mae_low", "type": "str", "value": f"0.{number}5"},
            {"key": "metric.mae_high", "type": "str", "value": f"0.{number + 1}5"},
            {"key": "data_hash", "type": "str", "value": f"h{number}"},
            {"key": "registry.version", "type": "str", "value": str(number)},
            {"key": "card", "type": "str", "value": f"# Card\nsame line\nline of {number}"},
        ]
        fields = {"name": "versioned", "uri": "file:///m", "project": filled.live, "task": filled.tasks[number - 1]}
        ids.append(api.call("models.create", metadata=told, **fields)["id"])
    text = get(f"/projects/*/compare-models;ids={','.join(ids)}").text
    assert ">mae</th>" in text
    assert ">+0.1<" in text.replace(" ", "")
    assert "[0.15, 0.25]" in text, "the interval stands beside the number"
    assert "mae_low" not in text
    assert ">1. versioned v1</th>" in text
    assert ">h2</td>" in text
    assert "same line" not in text, "of the cards only the lines that differ"
    assert "line of 2" in text
    assert "<polyline" in text, "the curves of the tasks that made them"
    one = get(f"/models/{ids[1]}").text
    assert "<h3>Card</h3>" in one, "the model card is read as Markdown, its heading below the page's"
    assert f'<a href="/models/{ids[0]}">v1</a>' in one, "the other version by its number"
    assert f'<a href="/tasks/{filled.tasks[1]}">run 1 &lt;&amp;&gt;</a>' in one


def test_files_are_shown_to_who_may_look(filled: Filled, get):
    """Pictures and artifacts of the file server open without a token, also those stored under another port; a picture
    that is kept elsewhere is a link, and nothing outside the folder of files is reachable.
    """
    api, files = filled.api, filled.files
    picture = base64.b64decode(PIXEL)
    sent = api.client.post(f"{files}/", files={"a b/p.png": ("a b/p.png", picture)})
    assert sent.status_code == 200
    assert httpx.get(f"{files}/a%20b/p.png").status_code == 401, "the files port itself wants to know who asks"
    made = api.task(filled.live, "pictured")
    addresses = {"own": f"{files}/a%20b/p.png", "moved": "http://localhost:1/a%20b/p.png"}
    for name, source in (addresses | {"away": "https://elsewhere.example/p.png", "odd": "javascript:alert(1)"}).items():
        api.events([plot(made, name, {"data": [], "layout": {"images": [{"source": source}]}})])
    artifact = {"key": "frame", "type": "image", "uri": addresses["own"]}
    api.call("tasks.add_or_update_artifacts", task=made, artifacts=[artifact], force=True)
    text = get(f"/tasks/{made}?tab=plots").text
    assert re.findall(r'<img src="([^"]+)" alt="(\w+) / v"', text) == [
        ("/files/a%20b/p.png", n) for n in ("moved", "own")
    ]
    assert '<a href="https://elsewhere.example/p.png">' in text
    assert 'src="javascript' not in text
    assert '<a href="/files/a%20b/p.png">frame</a>' in get(f"/tasks/{made}?tab=artifacts").text
    got = get("/files/a%20b/p.png")
    assert (got.status_code, got.headers["content-type"], got.content) == (200, "image/png", picture)
    assert (get("/files/nothing").status_code, get("/files/..%2f..%2fcredentials.json").status_code) == (404, 400)


def test_a_long_log_is_read_in_pages(filled: Filled, get):
    """The last 500 lines come first; the link goes on to earlier ones until the first."""
    first = get(f"/tasks/{filled.tasks[0]}?tab=log").text
    assert "line 699 of 0" in first
    assert "line 199 of 0" not in first
    before = first.split("before=")[1].split('"')[0]
    rest = get(f"/tasks/{filled.tasks[0]}?tab=log&before={before}").text
    assert "line 199 of 0" in rest
    assert "line 0 of 0" in rest
    assert "Earlier lines" not in rest


def test_the_projects_page_counts_what_is_below(filled: Filled, get):
    """A project counts its own experiments and those of the projects below it; hidden projects are not listed."""
    text = get("/").text
    assert "4 experiments of Mood/study" in text
    assert "5 experiments of Mood" in text  # the pipeline is below it, the report is no experiment
    assert ".pipelines" not in text.split("Newest experiments")[0]


def test_nonsense_in_an_address_is_no_defect(filled: Filled, get):
    """Whatever an address asks, the answer is a page: never a 500."""
    project = filled.project
    for query in (
        "q=%28%5B", "sort=drop+table", "page=-1", "page=99999999999999999999", "m=zz", "m=" + "a" * 32 + "." + "b" * 32,
        "status=x&type=y&tag=z", "q=" + "x" * 5000, "sort=-" + "a" * 32 + "." + "b" * 32, "q=%00", "tag=%F0%9F%98%80",
    ):  # fmt: skip
        assert (query[:20], get(f"/projects/{project}/experiments?{query}").status_code) == (query[:20], 200)
    assert get(f"/tasks/{filled.tasks[0]}?tab=log&before=abc").status_code == 200
    assert get("/projects/*/compare-experiments;ids=a,b").status_code == 200
    assert get("/compare/experiments").status_code == 200


def test_with_passwords_nothing_is_shown_before_logging_in(tmp_path):
    """Every page leads to the login page until a person gives a right password; logging out ends it."""
    users = tmp_path / "users.json"
    hashed = bcrypt.hashpw(b"correct horse", bcrypt.gensalt(4)).decode()
    users.write_text(json.dumps({"users": [{"username": "ana", "password": hashed, "name": "Ana"}]}))
    with (
        running("server.embedded", tmp_path / "data", [*PORTS, "--users", str(users)]) as service,
        httpx.Client(base_url=service.ready["urls"]["web"], follow_redirects=False) as client,
    ):
        Api(service).task("", "secret thing")
        assert client.get("/files/x").status_code == 303
        closed = client.get("/tasks/x?tab=log")
        assert closed.headers["location"] == "/login?next=%2Ftasks%2Fx%3Ftab%3Dlog"
        wrong = client.post("/login", data={"name": "ana", "password": "wrong"})
        assert (wrong.status_code, "not right" in wrong.text) == (401, True)
        away = client.post("/login?next=//evil.example", data={"name": "ana", "password": "correct horse"})
        assert (away.status_code, away.headers["location"]) == (303, "/")
        assert "HttpOnly" in away.headers["set-cookie"]
        assert "secret thing" in client.get("/").text
        token = client.cookies["clearml_token_basic"]
        client.post("/logout")
        client.cookies.set("clearml_token_basic", token)
        assert client.get("/").status_code == 303, "the token itself is worthless after logging out"
