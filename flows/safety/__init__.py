"""Help that nothing overrules: a rule over answers and vetted texts, without flows, models or network."""

from flows.safety.rule import SafetyHit, check, check_words, watched
from flows.safety.texts import Resource, countries, help_text, listing, resources, review_status

__all__ = [
    "Resource",
    "SafetyHit",
    "check",
    "check_words",
    "countries",
    "help_text",
    "listing",
    "resources",
    "review_status",
    "watched",
]
