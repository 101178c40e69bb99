"""The log: structlog and the standard library's loggers (Tornado's, Huey's) in one form, on standard error.

JSON, one object a line, unless standard error is a terminal. Times are UTC in ISO 8601. Secrets are masked.
"""

import contextlib
import logging
import sys
from typing import Any

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from conf.masking import MASK, is_secret, without_secrets
from conf.outlet import Outlet
from conf.settings import Settings

# Huey logs each task at info, several lines a second with drains; the job metrics contain the same. Tornado logs each malformed
# request, which has a line of its own in the access log.
_CHATTY = ("huey", "asyncio", "tornado.general")
_NEVER_BELOW_INFO = "peewee"  # its debug lines contain the values of every statement: texts, password hashes, codes
_MAX_DEPTH = 4  # of nested values that are searched for secrets


gateway_number: int | None = None  # of several gateways on one port


def configure(settings: Settings, component: str, number: int | None = None) -> None:
    """Send all logging of this process to standard error; each line names the `component` (gateway, worker …), and which gateway of
    several it is.

    May be called again, with other settings. `huey_consumer` adds a handler of its own to the `huey` logger after it has loaded
    the application; `adopt` removes it.
    """
    global gateway_number
    gateway_number = number
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared = _shared(component)
    renderer = _renderer(settings.log_format)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = _outlet or StderrHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(level if level < logging.INFO else max(level, logging.WARNING))
    logging.getLogger(_NEVER_BELOW_INFO).setLevel(max(level, logging.INFO))
    logging.captureWarnings(capture=True)


def adopt(name: str) -> None:
    """Make the stdlib logger `name` write through the root logger only: remove its handlers."""
    logger = logging.getLogger(name)
    logger.handlers.clear()
    logger.propagate = True
    if name in _CHATTY:
        logger.setLevel(max(logging.getLogger().level, logging.WARNING))


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask the values of secret keys, and secrets within strings. A structlog processor."""
    for key, value in event.items():
        if key[0:1] == "_":  # the formatter's own keys are never written
            continue
        event[key] = MASK if value is not None and is_secret(key) else _clean(value, _MAX_DEPTH)
    return event


def _clean(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return without_secrets(value)
    if depth == 0 or value is None or isinstance(value, (int, float)):
        return value
    if isinstance(value, dict):
        return {k: MASK if isinstance(k, str) and is_secret(k) else _clean(v, depth - 1) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item, depth - 1) for item in value]
    return without_secrets(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))


def _shared(component: str) -> list[Processor]:
    def add_component(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("component", component)
        if gateway_number is not None:
            event.setdefault("gateway", gateway_number)
        return event

    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_component,
        structlog.processors.format_exc_info,  # before redact, which masks secrets in messages of exceptions
        redact,
    ]


def is_json(log_format: str) -> bool:
    """Whether this setting makes lines JSON, rather than text for people."""
    return log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())


def _renderer(log_format: str) -> Processor:
    if is_json(log_format):
        return structlog.processors.JSONRenderer(serializer=_json)
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)


def _json(event: EventDict, **_options: Any) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()


_outlet: Outlet | None = None


def detach() -> None:
    """Let a thread write the log from now on, so that no other thread blocks with standard error. For processes that serve."""
    global _outlet
    if _outlet is not None:
        return
    _outlet = Outlet(sys.stderr.fileno())
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, StderrHandler):
            _outlet.setFormatter(handler.formatter)
            root.removeHandler(handler)
    root.addHandler(_outlet)


def write(lines: str) -> None:
    """Write whole lines, rendered already, to standard error. What can't be written (a full disk) is lost."""
    if _outlet is not None:
        _outlet.write(lines)
        return
    with contextlib.suppress(OSError):  # the work that logged the line goes on
        sys.stderr.write(lines)  # looked up each time, as tests exchange it


class StderrHandler(logging.Handler):
    """Writes records to the current `sys.stderr`."""

    def emit(self, record: logging.LogRecord) -> None:
        """Render a record and write it."""
        try:
            write(self.format(record) + "\n")
        except Exception:
            self.handleError(record)
