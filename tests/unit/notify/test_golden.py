"""What constructed people are told, word by word."""

from __future__ import annotations

import pytest

from flows.notify.policy import KINDS
from tests.golden.people import everybody, names
from tests.golden.render import FOLDER, LANGUAGES, path, rendered

PEOPLE = everybody()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", names())
def test_a_person_is_told_the_golden_words(name, language):
    """Words, evidence and reasons for silence are those a human reviewed (`python -m tests.golden.render` rewrites them)."""
    assert rendered(PEOPLE[name], language) == path(name, language).read_text(encoding="utf-8")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_of_message_has_golden_words(language):
    """No kind is sent in words nobody has seen."""
    everything = "".join(path(name, language).read_text(encoding="utf-8") for name in names())
    assert [kind for kind in KINDS if f"== {kind} (" not in everything] == []


def test_there_is_no_golden_file_without_its_person():
    """A renamed person takes the golden files along."""
    assert sorted(f.name for f in FOLDER.iterdir()) == sorted(path(n, lang).name for n in names() for lang in LANGUAGES)
