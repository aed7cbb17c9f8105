"""Which survey a study asks, and every version that was ever asked, kept with the answers to it."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from flows.store.database import StoreError
from flows.store.records import Studies
from flows.survey import Survey, SurveyError, load, parse, shipped


@lru_cache(maxsize=256)
def _parsed(source: str, name: str) -> Survey:
    return parse(source, name)


class Surveys:
    """Surveys by study and by version."""

    def __init__(self, studies: Studies) -> None:
        self._studies = studies
        self._names: dict[str, str] = {}

    def open(self, name_or_path: str, at: datetime, *, again: bool = False) -> Survey:
        """Make a definition the survey of the study of its name; its older versions stay readable.

        An end or a retention set by a researcher stays unless a new version states its own, or `again` is asked for.
        """
        survey = load(name_or_path)
        known = self._studies.get(survey.name)
        if known is None or known.survey_version != survey.version or again:
            ends, days = _end(survey), survey.retention_days
            if known is not None and not again:
                ends, days = ends or known.ends_at, days or known.retention_days
            self._studies.keep(survey.version, survey.name, survey.source, at)
            self._studies.put(survey.name, survey.version, ends, days)
        return survey

    def of_study(self, study: str) -> Survey | None:
        """Survey a study asks now, None for a study that was never opened."""
        known = self._studies.get(study)
        return None if known is None else self.by_version(known.survey_version)

    def by_version(self, version: str) -> Survey:
        """Survey of a version.

        Raises
        ------
        StoreError
            No answer or prompt of this store can have it.
        """
        source = self._studies.source(version)
        if source is None:
            raise StoreError(f"no survey version {version} in the store: open the study's definition once more")
        return _parsed(source, self._name(version))

    def enrollable(self, study: str, at: datetime) -> Survey | None:
        """Survey of a study a deep link names: one that is open, or a shipped definition, opened now."""
        known = self._studies.get(study)
        if known is not None:
            return None if known.ends_at is not None and known.ends_at <= at else self.by_version(known.survey_version)
        if study not in shipped():
            return None
        try:
            return self.open(study, at)
        except SurveyError:
            return None

    def _name(self, version: str) -> str:
        if version not in self._names:
            self._names[version] = self._studies.name(version) or "survey"
        return self._names[version]


def _end(survey: Survey) -> datetime | None:
    """The end of the study's last day, in the survey's timezone."""
    if survey.ends_on is None:
        return None
    after = survey.ends_on + timedelta(days=1)
    return datetime.combine(after, time(), tzinfo=ZoneInfo(survey.timezone)).astimezone(UTC)
