"""Read single values from a metrics page in the Prometheus text format."""

import re

from bench.load.client import Client, raw_request

_SAMPLE = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>[^}]*)\})? (?P<value>\S+)", re.MULTILINE)


def samples(page: str, name: str) -> dict[str, float]:
    """Return the samples of one metric: label text to value."""
    return {match["labels"] or "": float(match["value"]) for match in _SAMPLE.finditer(page) if match["name"] == name}


async def read_page(client: Client) -> str:
    """Return the metrics page of a process; raise ConnectionError when the status is not 200."""
    answer = await client.request(raw_request("GET", "/metrics"), 10)
    if answer.status != 200:
        raise ConnectionError(f"/metrics: {answer.status}")
    return answer.body.decode()
