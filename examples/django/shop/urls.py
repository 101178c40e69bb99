"""The shop's addresses."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from shop import bellwire, views

urlpatterns = [
    path("", views.home),
    path("orders/<int:pk>", views.order),
    path("login/", LoginView.as_view(template_name="shop/login.html")),
    path("logout/", LogoutView.as_view()),
    path("admin/", admin.site.urls),
    path("bellwire/token", bellwire.token),
    path("bellwire/webhook", bellwire.webhook),
]
