"""The shop's pages."""

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from shop.models import Order


@login_required
def home(request: HttpRequest) -> HttpResponse:
    """The orders of a customer, and a chat with the shop."""
    context = {
        "orders": Order.objects.filter(owner=request.user),
        "support": User.objects.filter(is_staff=True).order_by("pk").first(),
        "bellwire": settings.BELLWIRE_URL,
    }
    return render(request, "shop/home.html", context)


@login_required
def order(request: HttpRequest, pk: int) -> HttpResponse:
    """One order."""
    return render(request, "shop/order.html", {"order": get_object_or_404(Order, pk=pk, owner=request.user)})
