"""The browser of the tests of the pages."""

from tests.page.conftest import browser, open_page

__all__ = ["browser", "open_page"]
