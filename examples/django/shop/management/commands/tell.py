"""`manage.py tell`: notify again of shipped orders whose notification failed, for instance by cron."""

from typing import Any

from django.core.management.base import BaseCommand

from shop.bellwire import tell
from shop.models import Order


class Command(BaseCommand):
    """Notifies of what is left."""

    help = "notify of orders that were shipped while Bellwire could not be reached"

    def handle(self, *_: Any, **__: Any) -> None:
        """Notify; what was notified before stays one notification."""
        for order in Order.objects.filter(shipped_at__isnull=False, told=False):
            tell(order)
