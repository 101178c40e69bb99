"""Everything that connects the shop to Bellwire: people, tokens, notifications, the webhook and the old messages."""

import json
import time
from collections.abc import Iterator
from functools import partial

import jwt
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from bellwire_client import Client, WebhookVerificationError, verify_webhook
from shop.models import Delivery, OldMessage, Order, Talk

bell = Client(settings.BELLWIRE_URL, token=settings.BELLWIRE_TOKEN)


@login_required
def token(request: HttpRequest) -> JsonResponse:
    """Answer a token of ten minutes to the signed-in user of the shop. Bellwire makes the account at first sight."""
    user, now = request.user, int(time.time())
    claims = {"iss": "shop", "aud": "bellwire", "sub": str(user.pk), "iat": now, "exp": now + 600}
    profile = {"name": user.get_full_name() or user.username, "preferred_username": user.username, "email": user.email}
    return JsonResponse({"token": jwt.encode(claims | profile, settings.BELLWIRE_JWT_SECRET, algorithm="HS256")})


@receiver(post_save, sender=Order)
def order_saved(instance: Order, **_: object) -> None:
    """Notify the owner of an order that was shipped, once the shop's own transaction is committed."""
    if instance.shipped_at and not instance.told:
        transaction.on_commit(lambda: tell(instance), robust=True)  # `manage.py tell` does again what failed


def tell(order: Order) -> None:
    """Notify the owner. `dedupe` makes repeating it harmless."""
    values, once = {"what": order.what}, f"shipped:{order.pk}"
    bell.admin.notify("order.shipped", to=[f"ext:{order.owner_id}"], values=values, url=f"/orders/{order.pk}", dedupe=once)
    Order.objects.filter(pk=order.pk).update(told=True)


@receiver(post_save, sender=User)
def user_saved(instance: User, created: bool, **_: object) -> None:
    """Suspend in Bellwire whom the shop has deactivated, and activate them again."""
    if not created:
        status = "active" if instance.is_active else "suspended"
        change = partial(bell.admin.put_user, str(instance.pk), {"status": status})
        transaction.on_commit(change, robust=True)


@csrf_exempt
def webhook(request: HttpRequest) -> HttpResponse:
    """Count each customer's messages. The delivery's id is stored with what it changes, so nothing is counted twice."""
    try:
        payload = verify_webhook(request.body, request.headers, settings.BELLWIRE_WEBHOOK_SECRET)
    except WebhookVerificationError:
        return HttpResponse(status=401)
    with transaction.atomic():
        _, is_new = Delivery.objects.get_or_create(webhook_id=request.headers["webhook-id"])
        if is_new and payload["type"] == "message.created":
            count(payload["data"]["data"]["sender"])
    return HttpResponse(status=204)


def count(sender: int) -> None:
    """Count a message of the customer whom Bellwire knows by an id of its own."""
    external_id = bell.user(sender).external_id
    if external_id is not None:
        talk, _ = Talk.objects.get_or_create(user_id=int(external_id))
        Talk.objects.filter(pk=talk.pk).update(messages=F("messages") + 1)


def history() -> Iterator[str]:
    """Yield the old messages as the lines that `run.py import` reads."""
    for user in User.objects.order_by("pk"):
        name = user.get_full_name() or user.username
        yield json.dumps({"user": {"external_id": str(user.pk), "display_name": name, "email": user.email or None}})
    talks = set()
    for old in OldMessage.objects.order_by("sent_at", "pk").iterator():
        members = sorted((old.sender_id, old.receiver_id))
        key = "{}-{}".format(*members)
        if key not in talks:
            talks.add(key)
            yield json.dumps({"conversation": {"key": key, "kind": "direct", "members": [f"ext:{pk}" for pk in members]}})
        at = old.sent_at.isoformat()
        yield json.dumps(
            {"message": {"key": str(old.pk), "conversation": key, "sender": f"ext:{old.sender_id}", "body": old.body, "at": at}}
        )
