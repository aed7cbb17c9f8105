"""A local Telegram: the Bot API an unmodified client library talks to, and the people on the other side of it.

`python -m server.telegram --data DIR` serves bots at ``{api}/bot<token>/METHOD``, people at ``{api}/client`` and a page
to chat in at ``{api}/chat``. Everything is kept in DIR.
"""
