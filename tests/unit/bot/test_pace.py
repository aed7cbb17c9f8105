"""The limits on sending, in the machine's time."""

from __future__ import annotations

import itertools

from flows.bot.pace import Pace


def sent(pace: Pace, chats: int, seconds: float, step: float = 0.01) -> list[tuple[float, int]]:
    out = []
    for n in range(int(seconds / step)):
        out += [(n * step, chat) for chat in range(chats) if pace.take(chat, 100 + n * step)]
    return out


def test_all_chats_together_keep_to_the_rate():
    """After the first second's burst, 25 a second."""
    got = sent(Pace(25, 0), 1, 5)
    assert 25 * 5 <= len(got) <= 25 * 6 + 1


def test_a_chat_waits_its_interval():
    """One message a second and chat, while other chats go on."""
    got = sent(Pace(1000, 1.0), 3, 3)
    for chat in range(3):
        times = [at for at, one in got if one == chat]
        assert len(times) == 3
        assert all(b - a >= 0.99 for a, b in itertools.pairwise(times))


def test_telegrams_own_wait_is_honoured():
    """After a 429 the chat waits as long as it was told, the others do not."""
    pace = Pace(1000, 0)
    pace.wait(1, 105)
    assert not pace.take(1, 104.9)
    assert pace.take(2, 104.9)
    assert pace.take(1, 105.1)
    pace.wait_all(110)
    assert not pace.take(2, 109)
    pace.forget(200)
    assert pace.take(1, 200)
