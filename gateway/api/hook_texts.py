"""The texts that programs send to incoming hooks, in the shapes of Slack, Alertmanager and Grafana."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from models.chat.drafts import MAX_BODY_CHARS

MAX_ALERTS = 50  # more are counted
MAX_BLOCK_DEPTH = 8  # of the parts of Slack's blocks
BLOCK_PARTS = ("text", "fields", "elements")

Labels = dict[str, Any]


class SlackAttachment(msgspec.Struct):
    """An attachment of Slack's shape, of which the texts count."""

    pretext: str | None = None
    title: str | None = None
    text: str | None = None
    fallback: str | None = None
    blocks: list[Any] | None = None


class Alert(msgspec.Struct):
    """An alert of Alertmanager or Grafana."""

    status: str | None = None
    labels: Labels | None = None
    annotations: Labels | None = None
    generator_url: str | None = msgspec.field(name="generatorURL", default=None)


class IncomingText(msgspec.Struct):
    """`text`, or the JSON of a webhook of Alertmanager or Grafana. Other fields are ignored."""

    text: str | None = None
    blocks: list[Any] | None = None
    attachments: list[SlackAttachment] | None = None
    title: str | None = None
    message: str | None = None
    status: str | None = None
    alerts: list[Alert] | None = None
    shared_labels: Labels | None = msgspec.field(name="commonLabels", default=None)
    group_labels: Labels | None = msgspec.field(name="groupLabels", default=None)


def text_of(body: IncomingText) -> str:
    """The text of the message; empty if there is none. A text that is too long is cut."""
    text = body.text or _of_blocks(body.blocks) or _attached(body) or _of_grafana(body) or _of_alerts(body)
    text = text.strip()
    return text if len(text) <= MAX_BODY_CHARS else text[: MAX_BODY_CHARS - 1] + "…"


def _attached(body: IncomingText) -> str:
    parts = [
        (a.pretext, a.title, a.text) if a.text or a.title else (_of_blocks(a.blocks) or a.fallback,) for a in body.attachments or ()
    ]
    return "\n".join(line for lines in parts for line in lines if line)


def _of_blocks(blocks: list[Any] | None) -> str:
    """The texts of Slack's blocks (https://docs.slack.dev/reference/block-kit/blocks), a line each."""
    return "\n".join(text for block in blocks or () for text in _block_texts(block, 0))


def _block_texts(part: Any, depth: int) -> Iterator[str]:
    if isinstance(part, str):
        yield part
    elif depth == MAX_BLOCK_DEPTH:
        return
    elif isinstance(part, dict) and part.get("type") == "rich_text_section":
        yield "".join(text for element in _listed(part.get("elements")) for text in _block_texts(element, depth + 1))
    else:
        inner = [part.get(name) for name in BLOCK_PARTS] if isinstance(part, dict) else _listed(part)
        for each in inner:
            yield from _block_texts(each, depth + 1)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _of_grafana(body: IncomingText) -> str:
    """Grafana's own title and message, which its templates have made."""
    return "\n".join(line for line in (body.title, body.message) if line)


def _of_alerts(body: IncomingText) -> str:
    if not body.alerts:
        return ""
    names = {**(body.group_labels or {}), **(body.shared_labels or {})}
    lines = [f"[{(body.status or 'firing').upper()}: {len(body.alerts)}] {names.get('alertname') or 'alerts'}"]
    lines += [_line(alert) for alert in body.alerts[:MAX_ALERTS]]
    if len(body.alerts) > MAX_ALERTS:
        lines.append(f"… {len(body.alerts) - MAX_ALERTS} more")
    return "\n".join(lines)


def _line(alert: Alert) -> str:
    notes, labels = alert.annotations or {}, alert.labels or {}
    about = notes.get("summary") or notes.get("message") or _named(labels)
    resolved = "resolved: " if alert.status == "resolved" else ""
    details = [str(notes["description"])] if notes.get("description") else []
    details += [alert.generator_url] if alert.generator_url else []
    return "\n  ".join([f"- {resolved}{about}", *details])


def _named(labels: Mapping[str, Any]) -> str:
    others = ", ".join(f"{name}={value}" for name, value in sorted(labels.items()) if name != "alertname")
    return " ".join(part for part in (str(labels.get("alertname", "")), others) if part) or "an alert"
