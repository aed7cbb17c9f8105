"""Synthetic answers for the forecast tests."""

import numpy as np

from flows.analyse.panel import Panel


def study(seed=0, people=14, days=12, beeps=6, missing=0.2, shift=0.0, scale=(1.0, 7.0)):
    """People with a level of their own, inertia within the day, missing answers and three items."""
    rng = np.random.default_rng(seed)
    n = people * days * beeps
    code = np.repeat(np.arange(people), days * beeps)
    day = np.arange(n) // beeps
    beep = np.arange(n) % beeps + 1
    state = np.zeros(people)
    mood = np.empty((days * beeps, people))
    for t in range(days * beeps):
        state = 0.6 * state + rng.normal(0, 0.7, people)
        mood[t] = state
    truth = (rng.uniform(2, 4.5, people) + mood).T.reshape(-1) + shift
    items = np.clip(np.round(truth[:, None] + rng.normal(0, 0.5, (n, 3))), 1, 7)
    items[rng.random(n) < missing] = np.nan
    lo, hi = scale
    items = lo + (items - 1) / 6 * (hi - lo)
    hour = 20_000 * 24 + (day % days) * 24 + 8 + 2.2 * beep
    return Panel(
        persons=np.array([f"p{k}" for k in range(people)], dtype=object), code=code, day=day, beep=beep, hour=hour,
        late=np.full(n, np.nan), y=items.mean(axis=1), items=items, names=("a", "b", "c"), scale=scale, target="na",
    )  # fmt: skip
