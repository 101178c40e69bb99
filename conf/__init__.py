"""Settings from the environment, and logging. Imports nothing else of the project."""

from conf.settings import Settings, SettingsError, load

VERSION = "0.1.0"  # as in pyproject.toml, which a checkout that is not installed cannot read

__all__ = ["VERSION", "Settings", "SettingsError", "load"]
