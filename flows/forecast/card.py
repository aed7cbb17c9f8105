"""The model card (Mitchell et al. 2019): what a version is, what it was shown to do, and what it is not for."""

from __future__ import annotations

from collections.abc import Mapping

from flows.forecast.backtest import Backtest
from flows.forecast.ensemble import Ensemble
from flows.forecast.risk import Evidence, Risk


def card(
    ensemble: Ensemble,
    result: Backtest | None,
    risk: Risk | None,
    facts: Mapping[str, str],
    verdict: str,
) -> str:
    """Markdown for people who must decide whether to trust the model.

    Parameters
    ----------
    ensemble
        What is registered.
    result
        Its backtest, None where there were too few answers for one.
    risk
        Risk model, fitted or not.
    facts
        Data hash, target, survey version, run, counts.
    verdict
        Whether it was promoted, and why.
    """
    parts = [
        "# Forecast of the next beep",
        "\n".join(f"- {name}: {value}" for name, value in facts.items()),
        f"Decision: {verdict}",
        "## What it is\n\n" + _what(ensemble),
        "## How good it is\n\n" + (_scores(result) if result else "Too few answers for a backtest: nothing is shown."),
        "## Risk of a low day\n\n" + _risk(risk),
        (
            "## What it is not\n\n"
            "Not a diagnosis and not for clinical decisions. It knows answers only. It was judged on the people above; "
            "how it does on others is not known. Forecasts of single beeps are uncertain, as the interval says."
        ),
        "## What it keeps\n\nPooled weights and trees. Nothing of a single person.",
    ]
    return "\n\n".join(parts) + "\n"


def _what(ensemble: Ensemble) -> str:
    return (
        f"Mean: {ensemble.chosen['mean']}, median: {ensemble.chosen['median']}. A combination of "
        f"{', '.join(ensemble.combined)} with weights that move with the person's own answers, and a correction by the "
        f"person's own past and items; the interval is two quantile forecasts with an online conformal correction. "
        f"Items read: {', '.join(ensemble.items) or 'none'}."
    )


def _scores(result: Backtest) -> str:
    lines = [
        (
            f"{result.persons} people, {result.test_n} test answers: the last 30% of each person's answers, "
            "each forecast from what came before it."
        ),
        "",
        "| method | MAE | RMSE | skill |",
        "|---|---|---|---|",
    ]
    for name, s in sorted(result.scores.items(), key=lambda kv: -kv[1].skill):
        lines.append(f"| {name} | {s.mae:.4f} | {s.rmse:.4f} | {s.skill:.3f} |")
    i = result.intervals
    lines += [
        "",
        (
            f"80% interval: covers {i.coverage:.1%}, {i.person_p10_coverage:.1%} for the worst tenth of people; "
            f"Winkler score {i.winkler:.4g} against {i.best_constant_winkler:.4g} of the best interval of one width."
        ),
    ]
    return "\n".join(lines)


def _risk(risk: Risk | None) -> str:
    if risk is None:
        return "Not fitted: too few people or too few low days. Nothing is said about risk."
    e: Evidence = risk.evidence
    used = "It is used." if e.holds else "It is not used: it was not shown to be better than the base rate."
    alarm = (
        f"Warnings from {e.alarm:.0%}: {e.precision:.0%} of them right, {e.recall:.0%} of low days warned of."
        if e.alarm == e.alarm
        else "No probability is high enough for half of the warnings to be right: no warnings."
    )
    return (
        f"On {e.people} people left out in turn ({e.events} low days of {e.days}): Brier {e.brier:.4f} against "
        f"{e.base:.4f} of the base rate, skill {e.skill:.3f} ({e.skill_low:.3f} to {e.skill_high:.3f}); calibration "
        f"slope {e.slope:.2f} ({e.slope_low:.2f} to {e.slope_high:.2f}). {used} {alarm}"
    )
