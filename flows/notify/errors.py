"""What can be wrong with a message before it is sent; each says what, where and what to do."""

from __future__ import annotations


class MessageError(Exception):
    """A message cannot be written.

    MessageError
    ├── WordingError   a template is missing, has an error, or asks for a fact that is not there
    ├── PersonError    a person's timezone or language is missing or unknown
    └── TooLongError        Telegram would refuse the text
    """


class WordingError(MessageError):
    """A template is missing or cannot be filled."""


class PersonError(MessageError):
    """What is known of a person does not do to write to them."""


class TooLongError(MessageError):
    """Longer than Telegram allows."""
