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
from flows.commands.pictures import OFFICIAL, VIEWER, Facts, Shot, clearml_shots
from flows.commands.screenshots import LIMIT, NO_BUILD, Camera, small

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
    monkeypatch.setattr(screenshots, "SEE_MS", 300)
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
    screenshots._tell(camera.outcome, keep=False)
    said = json.loads((tmp_path / "images.json").read_text())
    assert said["there"] == {"source": VIEWER}
    assert {n: said[n]["missing"] for n in ("empty", "none", "acted")} == {
        "empty": "text=Not there is not on the page", "none": "the run has none", "acted": "the actor is ill",
    }  # fmt: skip
    assert NO_BUILD in said["webapp-old"]["kept"]
    assert {path.stem for path in tmp_path.glob("*.png")} == {"there", "webapp-old"}
    shown = capsys.readouterr().out
    assert shown.count("MISSING") == 3
    assert shown.count("KEPT") == 1
