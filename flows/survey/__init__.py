"""Questions, scales and when to ask them (pure), and the flow that plans prompts."""

from flows.survey.definition import Item, Scale, Schedule, Survey, SurveyError, Target, Window, load, parse, shipped

__all__ = ["Item", "Scale", "Schedule", "Survey", "SurveyError", "Target", "Window", "load", "parse", "shipped"]
