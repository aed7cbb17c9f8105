"""From a report and what is said of it to the chart beside the words."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from statistics import median

from flows.notify import locale
from flows.notify.chart import LONGEST, Chart, day_ticks
from flows.notify.context import Send
from flows.notify.insights import Seen
from flows.notify.wording import isolated

_LABELS = {
    "en": {"answer": "answers", "day": "day average", "usual": "usual", "shift": "level", "forecast": "expected"},
    "ru": {"answer": "ответы", "day": "среднее за день", "usual": "обычно", "shift": "уровень", "forecast": "прогноз"},
}
_MONTHS = {
    "en": ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
    "ru": ["янв", "фев", "мар", "апр", "мая", "июн", "июл", "авг", "сен", "окт", "ноя", "дек"],
}


def picture(seen: Seen, send: Send, title: str) -> Chart | None:
    """Chart of the person's last weeks; None where there is nothing to draw."""
    if not seen.days:
        return None
    locale.of(seen.context.language)
    start = max(next(iter(seen.days)), seen.today - timedelta(days=LONGEST - 1))
    shown = [day for day in seen.days if day >= start]
    if not shown:
        return None
    days = (max(shown) - start).days + 1
    lo, hi = seen.report.scale
    months = _MONTHS[seen.context.language]
    return Chart(
        title=isolated(title)[:48],
        start=start,
        days=days,
        lo=lo,
        hi=hi,
        answers=[(x, value) for at, value in seen.answers if (x := _x(at.astimezone(seen.zone), start)) >= 0],
        means=[((day - start).days + 0.5, seen.means[day]) for day in shown],
        usual=_usual(seen, send),
        shift=_shift(seen, send, start),
        forecast=_forecast(seen, send, start),
        labels=_LABELS[seen.context.language],
        ticks=day_ticks(start, days, lambda day: f"{day.day} {months[day.month - 1]}"),
    )


def _x(local: datetime, start: date) -> float:
    return (local.date() - start).days + (local.hour + local.minute / 60) / 24


def _usual(seen: Seen, send: Send) -> tuple[float, float, float] | None:
    """The usual range that the words name; else that of four days in five, about the middle one."""
    if {"usual", "low", "high"} <= set(send.facts):
        return send.facts["low"], send.facts["usual"], send.facts["high"]
    means = sorted(seen.means.values())
    if len(means) < seen.policy.min_days:
        return None
    lo, hi = seen.report.scale
    tenth = round(0.1 * (len(means) - 1))
    return max(means[tenth], lo), median(means), min(means[-1 - tenth], hi)


def _shift(seen: Seen, send: Send, start: date) -> tuple[float, float, float] | None:
    if send.kind != "change":
        return None
    at = datetime.fromisoformat(send.facts["at"]).astimezone(seen.zone)
    return _x(at, start), send.facts["before"], send.facts["after"]


def _forecast(seen: Seen, send: Send, start: date) -> tuple[float, float, float, float] | None:
    if send.kind != "forecast":
        return None
    at = datetime.fromisoformat(send.facts["at"]).astimezone(seen.zone)
    return _x(at, start), send.facts["low"], send.facts["mean"], send.facts["high"]
