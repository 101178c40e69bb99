"""Every metric of Bellwire, declared once, and their exposition. This package imports nothing else of the project."""

from metrics import declared
from metrics.exposition import exposition, serve

__all__ = ["declared", "exposition", "serve"]
