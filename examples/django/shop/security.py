"""The shop's content policy: besides its own files a page may load Bellwire's."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse


def content_policy(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Set Content-Security-Policy on every answer."""
    bellwire = settings.BELLWIRE_URL
    policy = (
        f"default-src 'none'; style-src 'self'; script-src 'self' {bellwire}; connect-src 'self' {bellwire}; "
        f"img-src 'self' {bellwire}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )

    def respond(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers["Content-Security-Policy"] = policy
        return response

    return respond
