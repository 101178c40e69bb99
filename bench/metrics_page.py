"""Reading single values off a metrics page in the Prometheus text format."""

import re

from bench.client import Client, raw_request

_SAMPLE = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>[^}]*)\})? (?P<value>\S+)", re.MULTILINE)


def samples(page: str, name: str) -> dict[str, float]:
    """Return the samples of one metric: label text to value."""
    return {found["labels"] or "": float(found["value"]) for found in _SAMPLE.finditer(page) if found["name"] == name}


async def read_page(client: Client) -> str:
    """Return a process' metrics page; raise ConnectionError when it does not answer one."""
    answer = await client.request(raw_request("GET", "/metrics"), 10)
    if answer.status != 200:
        raise ConnectionError(f"/metrics: {answer.status}")
    return answer.body.decode()
