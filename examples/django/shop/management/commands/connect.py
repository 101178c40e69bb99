"""`manage.py connect`: what Bellwire has to know once, to whom customers write, the words of the notification, and the webhook."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandParser

from shop.bellwire import bell

WORDS = {
    "en": {"title": "{{ what }} left the warehouse", "title_more": "{{ n }} orders left the warehouse"},
    "de": {"title": "{{ what }} ist unterwegs", "title_more": "{{ n }} Bestellungen sind unterwegs"},
}


class Command(BaseCommand):
    """Prints the secret of the webhook, which is shown only now."""

    help = "set up the shop's staff, the notification type and the webhook"

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the shop's own address."""
        parser.add_argument("url", help="the shop's address as Bellwire reaches it, such as https://shop.example.org")

    def handle(self, *_: Any, url: str, **__: Any) -> None:
        """Make them."""
        staff = {str(user.pk): user.get_full_name() or user.username for user in User.objects.filter(is_staff=True)}
        bell.admin.upsert_users([{"external_id": pk, "display_name": name} for pk, name in staff.items()])
        bell.admin.put_notification_type("order.shipped", {"words": WORDS, "email": "instant"})
        hook = bell.admin.create_webhook(f"{url}/bellwire/webhook", types=["message.created"])
        self.stdout.write(f"BELLWIRE_WEBHOOK_SECRET={hook.secret}")
