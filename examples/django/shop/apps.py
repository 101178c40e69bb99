"""The shop's configuration."""

from django.apps import AppConfig


class ShopConfig(AppConfig):
    """Connects the signals."""

    name = "shop"

    def ready(self) -> None:
        """Import the module whose receivers are to be called."""
        from shop import bellwire  # noqa: F401
