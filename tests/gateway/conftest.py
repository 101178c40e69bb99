"""A store in a temporary folder, for what needs no running gateway."""

from tests.models.conftest import store

__all__ = ["store"]
