"""The shop: orders, the messages of its chat of before, and how active its customers are in the new one."""

from django.conf import settings
from django.db import models


class Order(models.Model):
    """An order. `told` is true once its owner was notified that it was shipped."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    what = models.CharField(max_length=80)
    shipped_at = models.DateTimeField(null=True, blank=True)
    told = models.BooleanField(default=False)


class OldMessage(models.Model):
    """A direct message of the chat that the shop had before."""

    sender = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    receiver = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    body = models.TextField()
    sent_at = models.DateTimeField()


class Talk(models.Model):
    """The number of messages that a customer has written, counted from Bellwire's webhook."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    messages = models.PositiveIntegerField(default=0)


class Delivery(models.Model):
    """A delivery of the webhook that was applied: one that comes again is known by its id."""

    webhook_id = models.CharField(max_length=100, primary_key=True)
