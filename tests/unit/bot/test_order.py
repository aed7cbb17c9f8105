"""Updates that a webhook posts out of order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flows.bot.order import Order


@given(st.permutations(range(10, 22)))
def test_any_order_of_arrival_is_put_right(arrival):
    """However updates arrive, they are applied by number, none before one that was sent earlier."""
    order, waiting, applied = Order(9), [], []
    for now, number in enumerate(arrival):
        waiting = sorted([*waiting, number])
        count = order.ready(waiting, now * 0.01)
        applied += waiting[:count]
        waiting = waiting[count:]
    assert applied == list(range(10, 22))


def test_a_number_that_never_comes_is_not_waited_for_for_ever():
    """After its patience the rest goes on."""
    order = Order(9)
    assert order.ready([11, 12], 0.0) == 0
    assert order.ready([11, 12], 1.0) == 0
    assert order.ready([11, 12], 1.6) == 2
    assert order.ready([13], 1.7) == 1


def test_numbers_that_begin_afresh_go_through():
    """After a week of silence Telegram counts from somewhere else; a lower number is not held back."""
    assert Order(1000).ready([5, 6], 0.0) == 2
    assert Order(None).ready([5, 9], 0.0) == 1
