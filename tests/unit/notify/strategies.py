"""Arbitrary people: any length, any level, gaps, NaNs, any time of day, any history."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st

from flows.analyse.report import ChangePoint, Estimate, Rhythm, Trend
from flows.forecast import Forecast
from flows.notify.context import Told, Waiting
from flows.notify.policy import KINDS
from tests.golden.people import START, Constructed, person

numbers = st.one_of(st.floats(-10, 110, allow_nan=False), st.just(math.nan), st.just(math.inf))
zones = st.sampled_from(["UTC", "Europe/Moscow", "Asia/Kathmandu", "Pacific/Kiritimati", "America/St_Johns"])


@st.composite
def people(draw):
    """A person with whatever analysis, forecast and store might hand on."""
    one = person("anyone", draw(st.integers(1, 40)), beeps=draw(st.integers(1, 6)), timezone=draw(zones))
    now = START + timedelta(minutes=draw(st.integers(0, 60 * 24 * 45)))
    series = [(at, draw(numbers) if draw(st.integers(0, 9)) == 0 else v) for at, v in one.report.series]
    past = now - timedelta(hours=draw(st.integers(0, 400)))
    n = draw(st.integers(0, 200))
    report = replace(
        one.report,
        series=tuple(series),
        n_answers=len(series),
        polarity=draw(st.sampled_from(["negative", "positive"])),
        change=draw(
            st.none() | st.builds(ChangePoint, st.just(past), numbers, numbers, st.just(n), st.just(n), numbers)
        ),
        trend=draw(
            st.none()
            | st.builds(
                Trend, st.builds(Estimate, numbers, numbers, numbers, st.just(n)), st.just(past), st.just(past), numbers
            )
        ),
        rhythm=draw(
            st.none()
            | st.builds(
                Rhythm,
                st.sampled_from(["daily", "weekly"]),
                numbers,
                st.floats(0, 6.9),
                numbers,
                st.floats(0, 1),
                st.just(n),
            )
        ),
        n_prompts=draw(st.none() | st.integers(0, 500)),
        compliance=draw(st.none() | st.floats(0, 1) | st.just(math.nan)),
    )
    context = replace(
        one.context,
        now=now,
        language=draw(st.sampled_from(["en", "ru"])),
        told=draw(
            st.lists(
                st.builds(
                    Told,
                    st.sampled_from([k for k in KINDS if k != "unusual_day"]),
                    st.text(max_size=3),
                    st.integers(0, 3000).map(lambda m: now - timedelta(minutes=m)),
                ),
                max_size=6,
            )
        ),
        prompts=[draw(waiting(now)) for _ in range(draw(st.integers(0, 6)))],
        forecast=draw(
            st.none()
            | st.builds(
                Forecast,
                st.just("anyone"),
                st.just("na"),
                st.just(now + timedelta(hours=2)),
                numbers,
                numbers,
                numbers,
                numbers,
                st.just("m"),
                st.just(1),
            )
        ),
        label=draw(st.none() | st.text(max_size=30)),
    )
    return Constructed(report, context)


@st.composite
def waiting(draw, now):
    sent = now - timedelta(minutes=draw(st.integers(0, 600)))
    state = draw(st.sampled_from(["answered", "open", "missed"]))
    return Waiting(
        draw(st.text("abc", min_size=1, max_size=4)),
        sent,
        sent + timedelta(minutes=90),
        state == "answered",
        state == "open",
    )
