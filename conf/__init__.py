"""Settings from the environment, and logging. Imports nothing else of the project."""

from conf.settings import Settings, SettingsError, load

__all__ = ["Settings", "SettingsError", "load"]
