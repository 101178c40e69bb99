"""`manage.py connect`: what Bellwire has to know once, the words of the shop's notification and the webhook's address."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from shop.bellwire import bell

WORDS = {
    "en": {"title": "{{ what }} left the warehouse", "title_more": "{{ n }} orders left the warehouse"},
    "de": {"title": "{{ what }} ist unterwegs", "title_more": "{{ n }} Bestellungen sind unterwegs"},
}


class Command(BaseCommand):
    """Prints the secret of the webhook, which is shown only now."""

    help = "set up the notification type and the webhook"

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the shop's own address."""
        parser.add_argument("url", help="the shop's address as Bellwire reaches it, such as https://shop.example.org")

    def handle(self, *_: Any, url: str, **__: Any) -> None:
        """Make them."""
        bell.request("PUT", "/admin/notification-types/order.shipped", {"words": WORDS, "email": "instant"})
        hook = bell.request("POST", "/admin/webhooks", {"url": f"{url}/bellwire/webhook", "types": ["message.created"]})
        self.stdout.write(f"BELLWIRE_WEBHOOK_SECRET={hook['secret']}")
