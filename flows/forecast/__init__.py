"""Forecasts of the next beep: candidates, backtest, intervals, risk, promotion."""

from flows.forecast.result import Forecast

__all__ = ["Forecast"]
