"""What must not leave the machine."""

from __future__ import annotations

from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from clearml_utils.redact import MASK, Redactor, Sensitive, is_secret_name, is_sensitive_annotation


@pytest.mark.parametrize(
    "name", ["token", "bot_token", "apiKey", "API_KEY", "chat_id", "chatId", "user_password", "email"]
)
def test_secret_names(name: str):
    """These names are masked whatever they hold."""
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["tokenizer", "key", "monkey", "n", "author", "passed", "target"])
def test_plain_names(name: str):
    """These are not: a name that merely contains a secret word says nothing."""
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "text",
    [
        "https://api.telegram.org/bot123456789:AAFmQxYhF0pZc8wq3n5d7kL9sT1uV2wX3yZ/getMe",
        "Authorization: Bearer abcdefghijklmnop.qrstuv",
        "postgres://joe:hunter22@db/x",
        "password = hunter22",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "AKIAABCDEFGHIJKLMNOP",
        "write to someone@example.org",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_shapes_of_secrets(text: str):
    """Tokens, keys, passwords in addresses and e-mail are masked in any text."""
    clean = Redactor({}).text(text)
    assert MASK in clean
    for secret in ("AAFmQx", "abcdefghijklmnop", "hunter22", "c2lnbmF0dXJl", "AKIAABCD", "someone@", "MIIE"):
        assert secret not in clean


@pytest.mark.parametrize(
    "text", ["epoch 3: loss 0.25", "2026-11-23T20:00:00Z", "a1b2c3d4-e5f6", "http://127.0.0.1:8008/x"]
)
def test_ordinary_text_is_left_alone(text: str):
    """Numbers, times, ids and addresses stay readable."""
    assert Redactor({}).text(text) == text


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="<>"), min_size=6, max_size=40))
def test_a_secret_once_seen_is_masked_for_ever(secret: str):
    """A value masked once by name is masked in every later text that quotes it."""
    redactor = Redactor({})
    assert redactor.value("password", secret) == MASK
    assert secret not in redactor.text(f"could not use {secret} there")


def test_a_long_word_is_no_trouble():
    """A million characters without a space are looked through once, and an address at their end is masked."""
    assert Redactor({}).text("x" * 1_000_000 + "@example.org") == MASK
    assert Redactor({}).text("x" * 1_000_000) == "x" * 1_000_000


def test_secrets_inside_structures():
    """Names count at every level; secret types count anywhere."""

    class Settings(BaseModel):
        url: str
        token: SecretStr

    got = Redactor({}).value(
        "config",
        {"a": {"password": "hunter22", "n": 1}, "s": Settings(url="x", token="abcdefgh"), "l": [SecretStr("q")]},
    )
    assert got == {"a": {"password": MASK, "n": 1}, "s": {"url": "x", "token": MASK}, "l": [MASK]}


def test_marked_annotations():
    """`Annotated[..., Sensitive]` and secret types, also inside unions and containers, forbid recording."""
    assert is_sensitive_annotation(Annotated[str, Sensitive])
    assert is_sensitive_annotation(SecretStr | None)
    assert is_sensitive_annotation(list[SecretStr])
    assert not is_sensitive_annotation(str)


def test_secrets_of_the_environment_are_known():
    """Values of variables with secret names are masked from the start."""
    assert Redactor({"MY_API_KEY": "zzz-not-a-shape"}).text("with zzz-not-a-shape") == f"with {MASK}"
