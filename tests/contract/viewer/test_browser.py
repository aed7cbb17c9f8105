"""The viewer in headless Chromium: sorting, filtering, comparing, plots, a pipeline followed live, accessibility."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.viewer.conftest import CHROMIUM
from tests.contract.viewer.filled import Filled, scalar, steps

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.xdist_group("viewer"),
]


def names(page) -> list[str]:
    return page.locator("tbody th a").all_inner_texts()


def test_sorting_filtering_and_choosing_columns(filled: Filled, look):
    """Headings order by a field or a metric, both ways; filters narrow; ticked metrics become columns."""
    page = look(f"/projects/{filled.project}/experiments?q=run")
    page.get_by_role("link", name="mae").click()
    assert names(page) == [f"run {i} <&>" for i in range(4)]
    page.get_by_role("link", name="mae").click()
    assert names(page) == [f"run {i} <&>" for i in (3, 2, 1, 0)]
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("mae")
    page.get_by_label("Tag", exact=True).fill("even")
    page.get_by_role("button", name="Show").click()
    assert names(page) == ["run 2 <&>", "run 0 <&>"]
    page.get_by_text("Metric columns").click()
    page.get_by_label("loss / train").uncheck()
    page.get_by_role("button", name="Show").click()
    assert page.get_by_role("link", name="loss / train").count() == 0
    assert names(page) == ["run 2 <&>", "run 0 <&>"], "the order stays"


def test_three_runs_are_compared_from_the_table(filled: Filled, look):
    """Ticking three runs and comparing shows three columns, deltas and three curves in one chart."""
    page = look(f"/projects/{filled.project}/experiments?q=run&sort=name")
    for i in range(3):
        page.get_by_label(f"Compare run {i}").check()
    page.get_by_role("button", name="Compare the chosen ones").click()
    page.get_by_role("heading", name="Comparison of 3 experiments").wait_for()
    assert page.locator("figure polyline").count() == 3
    assert "0.0" in page.locator("tr", has_text="Args/rate").inner_text()


def test_a_plot_is_opened(filled: Filled, look):
    """A task's plots are drawn: lines with a gap, bars, a table, a heat map; what is unknown is shown as data."""
    page = look(f"/tasks/{filled.tasks[0]}")
    page.get_by_role("link", name="Plots").click()
    assert page.locator("section", has_text="heat / v").locator("rect.cell").count() == 4
    assert page.locator("section", has_text="bars / v").locator("rect.bar").count() == 2
    assert page.locator("section", has_text="packed / v").locator("polyline").count() == 1
    assert page.locator("section", has_text="table / v").get_by_text("<b>p2</b>").count() == 1
    page.locator("section", has_text="unknown / v").locator("summary").click()
    assert page.get_by_text("sankey").is_visible()


def test_a_pipeline_is_followed_while_it_runs(filled: Filled, look):
    """The graph of a running pipeline changes on the open page without a reload, and stops asking at its end."""
    api = filled.api
    made = api.task(filled.live, "followed", type="controller")
    page = look(f"/pipelines/{filled.project}/experiments/{made}")
    page.get_by_text("No steps yet.").wait_for()
    for status in ("running", "completed"):
        item = steps(("collect", status, []), tasks=filled.tasks)["Pipeline"]
        api.call("tasks.edit_configuration", task=made, configuration=[item], force=True)
        page.get_by_role("link", name=f"collect: {status}").wait_for()
    api.call("tasks.completed", task=made, force=True)
    page.locator(".status.st-completed").first.wait_for()
    page.locator("[data-live='0']").wait_for(state="attached")


def test_a_new_point_shows_after_a_reload(filled: Filled, look):
    """Pages show what was committed before they were asked for."""
    api = filled.api
    made = api.task(filled.live, "growing")
    api.events([scalar(made, "m", "m", s, s) for s in range(3)])
    page = look(f"/tasks/{made}?tab=scalars")
    before = page.locator("polyline").get_attribute("points").count(",")
    api.events([scalar(made, "m", "m", s, s) for s in range(3, 9)])
    page.reload()
    assert page.locator("polyline").get_attribute("points").count(",") == before + 6


def pages(filled: Filled) -> list[str]:
    task = filled.tasks[0]
    return [
        "/", f"/projects/{filled.project}", f"/projects/{filled.project}/experiments?q=run",
        *(f"/tasks/{task}?tab={tab}" for tab in ("overview", "scalars", "plots", "log", "artifacts", "children")),
        f"/projects/*/compare-experiments;ids={','.join(filled.tasks[:3])}",
        f"/projects/*/compare-models;ids={','.join(filled.models)}", "/models", f"/models/{filled.models[0]}",
        "/pipelines", f"/pipelines/x/experiments/{filled.pipeline}", "/reports", f"/reports/x/{filled.report}",
        "/workers-and-queues", "/settings", "/nothing",
    ]  # fmt: skip


def test_no_page_is_wider_than_a_phone(filled: Filled, look):
    """On a screen of 390 pixels, or 320, only tables and graphs scroll sideways, each in its own frame."""
    page = look("/", viewport={"width": 390, "height": 780})
    for path in pages(filled)[:-1]:
        page.goto(path)
        for width in (390, 320):
            page.set_viewport_size({"width": width, "height": 780})
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert (path, width, wide) == (path, width, 0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible(filled: Filled, look, scheme):
    """No page violates what axe knows of WCAG 2 A and AA or of good practice, in either colour scheme."""
    from axe_playwright_python.base import AXE_FILE_PATH

    axe = Path(AXE_FILE_PATH).read_text()
    page = look("/", color_scheme=scheme)
    for path in pages(filled)[:-1]:
        page.goto(path)
        page.evaluate(axe)
        found = page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']})")
        assert (path, [(v["id"], [n["html"][:200] for n in v["nodes"]][:3]) for v in found["violations"]]) == (path, [])


def test_pages_work_without_script(filled: Filled, look):
    """A browser without scripts gets the same table, and a graph as it is now."""
    page = look("/projects/*/experiments?q=run&sort=name", java_script_enabled=False)
    assert names(page) == [f"run {i} <&>" for i in range(4)]
    page.goto(f"/pipelines/x/experiments/{filled.pipeline}")
    assert page.get_by_role("link", name="analyse: running").count() == 1


def test_the_first_tab_stop_skips_to_the_content(look):
    """Somebody with a keyboard need not go through the menu on each page."""
    page = look("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#main"
