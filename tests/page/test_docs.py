"""The page of the API's documentation, as people use it."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.gateway.running import Gateway

pytestmark = pytest.mark.only("sqlite")  # the store has no part in it


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_for_everybody(
    gateway: Gateway, open_page: Callable[..., Page], violations: Callable[[Page], list[str]], scheme: str
) -> None:
    page = open_page(gateway.url + "/api/docs", color_scheme=scheme)

    assert page.title() == "Bellwire API"
    assert violations(page) == []
