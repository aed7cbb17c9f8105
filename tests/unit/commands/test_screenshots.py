"""Pictures: what is on the page is taken, what is not is named; they stay small; earlier ones go or are called so."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flows.commands import screenshots
from flows.commands.errors import ServiceError, StateError
from flows.commands.pictures import OFFICIAL, VIEWER, Facts, Shot, _alike, clearml_shots
from flows.commands.screenshots import LIMIT, NO_BUILD, Camera, small
from flows.commands.summary import Summary

EMPTY = Facts(None, None, None, (), None, (), (), None)


def test_a_picture_of_anything_is_small():
    """Even noise, which hardly compresses, is brought below the limit."""
    noise = np.random.default_rng(1).integers(0, 255, (800, 1280, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).resize((320, 200)).resize((1280, 800), Image.Resampling.NEAREST).save(out, "PNG")
    assert len(small(out.getvalue())) <= LIMIT


def test_a_run_without_models_and_reports_still_names_every_picture():
    """Each picture of both web apps is on the list, with no address where the run has nothing of the kind."""
    names = {shot.name: shot.url for s in (VIEWER, OFFICIAL) for shot in clearml_shots(s, "http://127.0.0.1:1", EMPTY)}
    assert {"viewer-comparison", "webapp-plots", "webapp-model-comparison", "viewer-pipeline"} <= names.keys()
    assert names["webapp-plots"] is None
    assert names["viewer-projects"] == "http://127.0.0.1:1/projects"
    assert all(shot.url is None for shot in clearml_shots(OFFICIAL, None, EMPTY))


def a_task(name: str, parent: str, created: str, **metrics: float) -> dict:
    last = {n: {"v": {"metric": "Summary", "variant": n, "value": v}} for n, v in metrics.items()}
    return {"name": name, "parent": parent, "created": created, "last_metrics": last, "id": name + parent}


def test_the_best_candidates_of_the_newest_training_are_compared():
    """Three of them, the best first, none without a search; with no such training, runs named alike."""
    old = [a_task(f"candidate {n}", "t1", "2026-01-01", skill=0.9, loss=1.0) for n in "abc"]
    new = [
        a_task(f"candidate {n}", "t2", "2026-01-02", skill=s, loss=1.0)
        for n, s in zip("abcd", (0.1, 0.4, 0.2, 0.3), strict=True)
    ]
    plain = [a_task("candidate mean", "t2", "2026-01-02", skill=0.8)]
    assert [t["name"][-1] for t in _alike([*old, *new, *plain])] == ["b", "d", "c"]
    runs = [a_task(f"read-{n}", "t3", "2026-01-03", rows=float(i)) for i, n in enumerate(("a1b", "c2d"))]
    assert [t["name"] for t in _alike([*plain, *runs])] == ["read-a1b", "read-c2d"]


def test_without_a_stack_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Nothing runs: an error that names the command; a folder that is no build is named too."""
    monkeypatch.setenv("MOODFLOW_HOME", str(tmp_path))
    with pytest.raises(StateError, match="make demo KEEP=1"):
        screenshots.screenshots()


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_pictures_are_taken_and_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    """A page that shows what it must is taken; others are missing with the reason; earlier pictures do not stay unsaid."""
    monkeypatch.setattr(screenshots, "IMAGES", tmp_path)
    monkeypatch.setattr(screenshots, "SEE_MS", 4_000)
    monkeypatch.setattr(screenshots, "login_token", lambda: "x")
    for old in ("gone", "webapp-old"):
        Image.new("RGB", (600, 400)).save(tmp_path / f"{old}.png")
    page = tmp_path / "page.html"
    page.write_text("<h1>There</h1>")
    with screenshots._browser() as opened:
        camera = Camera(opened, official=False)
        camera.take(Shot("there", page.as_uri(), VIEWER, ("text=There",)))
        camera.take(Shot("empty", page.as_uri(), VIEWER, ("text=Not there",)))
        camera.take(Shot("none", None, VIEWER))
        camera.take(Shot("webapp-old", None, OFFICIAL))
        with camera.scene({"acted": VIEWER}):
            raise ServiceError("the actor is ill")
        screenshots.printed(tmp_path, camera)
        assert "make demo" in camera.outcome["summary"]["missing"]
        counts = {"controllers": {"completed": 1}, "children": {}, "metrics": 3, "artifacts": 0}
        summary = Summary(
            5, {"answered": 9}, 9, {"completed": 2}, {}, counts, addresses={"ClearML": "http://127.0.0.1:1"}
        )
        (tmp_path / "summary.json").write_text(json.dumps(summary.as_dict()))
        screenshots.printed(tmp_path, camera)
    screenshots._tell(camera.outcome, keep=False)
    said = json.loads((tmp_path / "images.json").read_text())
    assert said["there"] == {"source": VIEWER}
    with Image.open(tmp_path / "summary.png") as printed:
        assert printed.width >= 400
        assert printed.height < 400, "what was printed, and not the empty page around it"
    assert {n: said[n]["missing"] for n in ("empty", "none", "acted")} == {
        "empty": "text=Not there is not on the page", "none": "the run has none", "acted": "the actor is ill",
    }  # fmt: skip
    assert NO_BUILD in said["webapp-old"]["kept"]
    assert {path.stem for path in tmp_path.glob("*.png")} == {"there", "webapp-old", "summary"}
    shown = capsys.readouterr().out
    assert shown.count("MISSING") == 3
    assert shown.count("KEPT") == 1
