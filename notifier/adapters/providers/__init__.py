"""Providers: one file for each family of APIs, and the literal table of what is known."""

from notifier.adapters.providers.json_api import JsonApi
from notifier.adapters.providers.presets import PRESETS, Preset

__all__ = ["PRESETS", "JsonApi", "Preset"]
