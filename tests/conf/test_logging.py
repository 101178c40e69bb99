import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog

from conf import Settings
from conf.logging import adopt, configure
from conf.masking import without_addresses


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    for name in ("huey", "asyncio", "tornado.general"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def start(**settings: Any) -> Any:
    configure(Settings(_env_file=None, **settings), "gateway")
    return structlog.get_logger()


def test_a_line_is_json_with_time_level_and_component(capsys: pytest.CaptureFixture[str]) -> None:
    start().info("started", port=8080)
    (line,) = lines(capsys)
    stamp = datetime.fromisoformat(line.pop("timestamp"))
    assert abs((datetime.now(UTC) - stamp).total_seconds()) < 60
    assert line == {"event": "started", "level": "info", "component": "gateway", "port": 8080}


def test_a_line_of_one_of_several_gateways_has_its_number(capsys: pytest.CaptureFixture[str]) -> None:
    for number in (2, None):
        configure(Settings(_env_file=None), "gateway", number)
        structlog.get_logger().info("started")
        logging.getLogger("tornado.general").warning("slow")
    assert [line.get("gateway") for line in lines(capsys)] == [2, 2, None, None]


def test_the_standard_library_writes_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    start()
    logging.getLogger("tornado.general").warning("slow %s", "request", extra={"token": "abc"})
    (line,) = lines(capsys)
    del line["timestamp"]
    assert line == {
        "event": "slow request",
        "level": "warning",
        "component": "gateway",
        "logger": "tornado.general",
        "token": "***",
    }


def test_the_format_can_be_text(capsys: pytest.CaptureFixture[str]) -> None:
    start(log_format="text").info("started", port=8080)
    err = capsys.readouterr().err
    assert "started" in err
    assert "port=8080" in err
    assert not err.startswith("{")


def test_lines_below_the_level_are_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    logger = start(log_level="warning")
    logger.info("no")
    logging.getLogger("tornado").info("no")
    logger.error("yes")
    assert [line["event"] for line in lines(capsys)] == ["yes"]


@pytest.mark.parametrize("name", ["huey", "tornado.general"])
def test_lines_of_a_chatty_library_need_the_level_debug(capsys: pytest.CaptureFixture[str], name: str) -> None:
    start()
    logging.getLogger(name).info("executing")
    logging.getLogger(name).error("failed")
    assert [line["event"] for line in lines(capsys)] == ["failed"]
    start(log_level="debug")
    logging.getLogger(name).info("executing")
    assert [line["event"] for line in lines(capsys)] == ["executing"]


def test_a_logger_with_its_own_handler_is_adopted(capsys: pytest.CaptureFixture[str]) -> None:
    start()
    huey = logging.getLogger("huey")
    huey.addHandler(logging.StreamHandler())
    huey.setLevel(logging.INFO)
    adopt("huey")
    huey.info("executing")
    huey.warning("once")
    assert [line["event"] for line in lines(capsys)] == ["once"]


@pytest.mark.parametrize("key", ["token", "Password", "code", "authorization", "Cookie", "Set-Cookie", "body", "new_token"])
def test_values_of_secret_keys_are_masked(capsys: pytest.CaptureFixture[str], key: str) -> None:
    start().info("x", **{key: "hunter2"}, headers={key: "hunter2"})
    (line,) = lines(capsys)
    assert line[key] == "***"
    assert line["headers"] == {key: "***"}


@pytest.mark.parametrize(
    "text",
    [
        "GET /events?token=hunter2&timeout=5",
        "GET /events?timeout=5&access_token=hunter2",
        "login with password=hunter2 refused",
        "postgresql://bellwire:hunter2@db/bellwire",
        "postgresql://bellwire:a/hunter2@db/bellwire",
        "sslpassword=hunter2",
        "Authorization: Bearer hunter2hunter2",
    ],
)
def test_secrets_within_texts_are_masked(capsys: pytest.CaptureFixture[str], text: str) -> None:
    start().info(text, urls=[text])
    err = capsys.readouterr().err
    assert "hunter2" not in err
    assert err.count("***") == 2


def test_values_that_are_not_secret_are_not_masked(capsys: pytest.CaptureFixture[str]) -> None:
    start().info("GET /events?timeout=5", status_code=200, tokens_total=3, note="a=b", address="me@example.org")
    (line,) = lines(capsys)
    assert "***" not in str(line)


def test_an_exception_is_one_line_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    logger = start()
    try:
        raise ValueError("no such page: /x?token=hunter2")
    except ValueError:
        logger.exception("failed")
    (line,) = lines(capsys)
    assert "ValueError: no such page: /x?token=***" in line["exception"]


def test_the_lines_of_a_request_contain_its_context(capsys: pytest.CaptureFixture[str]) -> None:
    logger = start()
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        logger.info("in")
    logger.info("out")
    assert [line.get("request_id") for line in lines(capsys)] == ["r1", None]


def test_values_that_json_cannot_represent_are_written_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    start().info("x", path=Settings(_env_file=None).data_dir, kinds={"a"}, error=ValueError("bad"))
    (line,) = lines(capsys)
    assert (line["path"], line["error"]) == (str(Path(__file__).parents[2] / "var"), "bad")


def test_row_values_in_errors_of_postgresql_are_masked(capsys: pytest.CaptureFixture[str]) -> None:
    logger = start()
    try:
        try:
            raise ValueError('null value in column "at"\nDETAIL:  Failing row contains (1, hunter2,\nand more of hunter2).\n')
        except ValueError as error:
            raise RuntimeError("the drain") from error
    except RuntimeError:
        logger.exception("failed")
    (line,) = lines(capsys)
    assert "hunter2" not in str(line)
    assert 'null value in column "at"' in line["exception"]
    assert line["exception"].endswith("RuntimeError: the drain")


def test_addresses_in_the_reply_of_a_mail_server_are_masked() -> None:
    reply = "550 5.1.1 <ann+x@example.org>: unknown; relay says bob@example.org, try later"
    assert without_addresses(reply) == "550 5.1.1 <***>: unknown; relay says ***, try later"
