"""The SMTP transport against a real mail server: its answers decide on a mail, and a connection is kept as long as possible."""

import socket
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from urllib.parse import quote

import pytest

from jobs.mail import smtp as relay_module
from jobs.mail.compose import ComposedMail, Composer
from jobs.mail.smtp import MailDeferredError, MailRefusedError, RelayDownError, SmtpTransport
from tests.smtp_server import Certificate, SmtpServer
from tests.stores import free_port
from tests.waiting import LIMIT_S

SENDER, ANA, BEN = "bell@example.org", "ana@example.org", "ben@example.org"
PASSWORD = "pä%ss:wörd/hunter2"
Serve = Callable[..., SmtpServer]
COMPOSER = Composer(SENDER, "https://chat.example.org")


def composed(address: str = ANA, body: str = "It was changed.") -> ComposedMail:
    data = {"title": "Your password was changed", "body": body}
    return COMPOSER.compose("account", address, "Ana", data, "<0123456789abcdef@example.org>", 1_792_000_000_000, None)


@pytest.fixture
def relay(smtp_server: SmtpServer) -> Iterator[SmtpTransport]:
    one = SmtpTransport(smtp_server.url)
    yield one
    one.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def trusted(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers with given options."""
    made: list[SmtpServer] = []

    def one(*args: Certificate, **options: object) -> SmtpServer:
        made.append(SmtpServer(*args, **options).start())  # type: ignore[arg-type]
        return made[-1]

    yield one
    for server in made:
        server.stop()


def with_login(server: SmtpServer, user: str, password: str) -> str:
    return server.url.replace("://", f"://{quote(user, safe='')}:{quote(password, safe='')}@")


def test_a_burst_goes_over_one_connection_byte_by_byte(relay: SmtpTransport, smtp_server: SmtpServer) -> None:
    mails = [composed(body=body) for body in ("One", ".\n..dots\n.", "Grüße\n" * 500)]
    for one in mails:
        relay.send(SENDER, ANA, one)
    assert [mail.message for mail in smtp_server.mails] == [one.message for one in mails]
    assert {(mail.sender, tuple(mail.receivers), mail.connection) for mail in smtp_server.mails} == {(SENDER, (ANA,), 1)}


@pytest.mark.parametrize("answer", ["552 5.2.2 Mailbox full", "550 5.4.5 Daily quota exceeded", "554 5.7.0 Too many mails"])
def test_a_final_code_that_means_later_defers_the_mail(relay: SmtpTransport, smtp_server: SmtpServer, answer: str) -> None:
    smtp_server.answers["RCPT"].append(answer)
    with pytest.raises(MailDeferredError, match=answer):
        relay.send(SENDER, ANA, composed())


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
def test_a_refusal_is_final_for_the_mail_and_the_connection_goes_on(
    relay: SmtpTransport, smtp_server: SmtpServer, command: str
) -> None:
    smtp_server.answers[command].append("550 5.1.1 No such user")
    with pytest.raises(MailRefusedError, match=r"^550 5\.1\.1 No such user$"):
        relay.send(SENDER, ANA, composed())
    relay.send(SENDER, BEN, composed(BEN))
    assert [mail.receivers for mail in smtp_server.mails] == [[BEN]]
    assert smtp_server.connections == 1


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
def test_a_mail_may_be_put_off_and_taken_later(relay: SmtpTransport, smtp_server: SmtpServer, command: str) -> None:
    smtp_server.answers[command].append("451 4.7.1 Greylisted")
    with pytest.raises(MailDeferredError, match="451"):
        relay.send(SENDER, ANA, composed())
    relay.send(SENDER, ANA, composed())
    assert (len(smtp_server.mails), smtp_server.connections) == (1, 1)


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
def test_421_is_about_the_relay(relay: SmtpTransport, smtp_server: SmtpServer, command: str) -> None:
    smtp_server.answers[command].append("421 4.3.2 Shutting down")
    with pytest.raises(RelayDownError, match="421"):
        relay.send(SENDER, ANA, composed())
    relay.send(SENDER, ANA, composed())
    assert smtp_server.connections == 2


def test_a_receiver_is_refused_while_others_are_not(relay: SmtpTransport, smtp_server: SmtpServer) -> None:
    smtp_server.refused[ANA] = "550 5.1.1 No such user"
    with pytest.raises(MailRefusedError):
        relay.send(SENDER, ANA, composed())
    relay.send(SENDER, BEN, composed(BEN))
    assert len(smtp_server.mails) == 1


def test_a_cut_after_the_mail_leaves_its_fate_unknown(relay: SmtpTransport, smtp_server: SmtpServer) -> None:
    relay.send(SENDER, ANA, composed())
    smtp_server.messages_to_cut = 1
    with pytest.raises(MailDeferredError, match="in the middle"):
        relay.send(SENDER, ANA, composed())
    assert len(smtp_server.mails) == 1
    relay.send(SENDER, ANA, composed())
    assert [mail.connection for mail in smtp_server.mails] == [1, 2]


def test_an_answer_that_never_comes_is_a_cut(
    relay: SmtpTransport, smtp_server: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "ANSWER_TIMEOUT_S", 1.0)
    smtp_server.open.clear()
    with pytest.raises(MailDeferredError, match="timed out"):
        relay.send(SENDER, ANA, composed())


def test_a_connection_that_was_closed_meanwhile_is_replaced(relay: SmtpTransport, smtp_server: SmtpServer) -> None:
    relay.send(SENDER, ANA, composed())
    smtp_server.cut()
    relay.send(SENDER, ANA, composed())
    assert [mail.connection for mail in smtp_server.mails] == [1, 2]


def test_a_relay_may_take_a_few_mails_a_connection_or_one(relay: SmtpTransport, smtp_server: SmtpServer) -> None:
    smtp_server.max_mails_per_connection = 2
    for _ in range(4):
        relay.send(SENDER, ANA, composed())
    assert [mail.connection for mail in smtp_server.mails] == [1, 1, 2, 2]
    smtp_server.max_mails_per_connection, smtp_server.closes_after_each = None, True
    for _ in range(2):
        relay.send(SENDER, ANA, composed())
    assert [mail.connection for mail in smtp_server.mails[4:]] == [2, 3]


def test_an_idle_connection_is_closed(relay: SmtpTransport, smtp_server: SmtpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    relay.close_if_idle()
    relay.send(SENDER, ANA, composed())
    relay.close_if_idle()
    relay.send(SENDER, ANA, composed())
    monkeypatch.setattr(relay_module, "IDLE_S", 0.0)
    relay.close_if_idle()
    relay.send(SENDER, ANA, composed())
    assert [mail.connection for mail in smtp_server.mails] == [1, 1, 2]


def test_leaving_never_fails(relay: SmtpTransport, smtp_server: SmtpServer) -> None:
    relay.close()
    relay.send(SENDER, ANA, composed())
    smtp_server.stop()
    relay.close()


def test_a_relay_that_was_down_is_found_again(relay: SmtpTransport, smtp_server: SmtpServer) -> None:
    relay.send(SENDER, ANA, composed())
    smtp_server.stop()
    for _ in range(2):
        with pytest.raises(RelayDownError, match="cannot be reached"):
            relay.send(SENDER, ANA, composed())
    smtp_server.start()
    relay.send(SENDER, ANA, composed())
    assert len(smtp_server.mails) == 2


@pytest.mark.parametrize("url", ["smtp://127.0.0.1:{}", "smtps://127.0.0.1:{}", "smtp://nowhere.invalid:{}", "smtp://.x:{}"])
def test_a_relay_that_is_not_there_is_down(url: str) -> None:
    with pytest.raises(RelayDownError):
        SmtpTransport(url.format(free_port())).send(SENDER, ANA, composed())


@contextmanager
def scripted_server(*answers: str) -> Iterator[str]:
    """Yield the address of a server that sends the first line at once and each other after a line of the client."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb") as file:
            for answer in answers:
                file.write(answer.encode() + b"\r\n")
                file.flush()
                file.readline()
            file.read()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join(LIMIT_S)


@pytest.mark.parametrize("greeting", ["554 5.3.2 No mail here", "421 4.3.2 Too busy", "HTTP/1.1 400 Bad Request"])
def test_what_does_not_greet_as_a_mail_server_is_down(greeting: str) -> None:
    with scripted_server(greeting) as place, pytest.raises(RelayDownError, match="it is not ready"):
        SmtpTransport(f"smtp://{place}").send(SENDER, ANA, composed())


def test_a_relay_that_says_nothing_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "CONNECT_TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(RelayDownError, match="timed out"):
        SmtpTransport(f"smtp://127.0.0.1:{listener.getsockname()[1]}").send(SENDER, ANA, composed())


def test_a_missing_login_is_about_the_relay_and_loses_no_mail() -> None:
    with scripted_server("220 hello", "250 hello", "530 5.7.0 Authentication required", "250 reset", "221 bye") as place:
        relay = SmtpTransport(f"smtp://{place}")
        with pytest.raises(RelayDownError, match="530"):
            relay.send(SENDER, ANA, composed())
        relay.close()


def test_a_relay_that_talks_nonsense_is_down() -> None:
    with scripted_server("220 hello", "250 hello", "250 sender", "hm") as place, pytest.raises(RelayDownError):
        SmtpTransport(f"smtp://{place}").send(SENDER, ANA, composed())


def test_no_error_repeats_the_password_or_is_longer_than_a_line() -> None:
    plain = b64encode(b"\0ana\0hunter2").decode()
    nagging = f"535 no {plain} hunter2 {b64encode(b'hunter2').decode()} " + "no " * 200
    with scripted_server("220 hello", "250-hello\r\n250 AUTH PLAIN", nagging) as place, pytest.raises(RelayDownError) as caught:
        SmtpTransport(f"smtp://ana:hunter2@{place}").send(SENDER, ANA, composed())
    assert str(caught.value).startswith("it refuses the login (535 no *** *** *** no")
    assert len(str(caught.value)) == 300


def test_a_password_is_not_sent_unencrypted_over_a_network() -> None:
    with pytest.raises(RelayDownError, match="unencrypted"):
        SmtpTransport("smtp://ana:hunter2@192.0.2.1").send(SENDER, ANA, composed())


def test_no_encryption_is_no_mail_where_it_is_asked_for() -> None:
    with scripted_server("220 hello", "250-hello\r\n250 AUTH PLAIN") as place, pytest.raises(RelayDownError, match="STARTTLS"):
        SmtpTransport(f"smtp://ana:hunter2@{place}?starttls=1").send(SENDER, ANA, composed())


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("smtps", [False, True])
@pytest.mark.parametrize("password", ["hunter2", PASSWORD])
def test_mail_goes_encrypted_with_a_login(serve: Serve, certificate: Certificate, smtps: bool, password: str) -> None:
    server = serve(certificate, smtps=smtps, login=("ana@example.org", password))
    relay = SmtpTransport(with_login(server, "ana@example.org", password))
    relay.check(5)
    assert server.connections == 1
    for _ in range(2):
        relay.send(SENDER, ANA, composed())
    relay.close()
    assert [mail.connection for mail in server.mails] == [2, 2]
    with pytest.raises(RelayDownError, match="refuses the login"):
        SmtpTransport(with_login(server, "ana@example.org", "wrong")).send(SENDER, ANA, composed())


@pytest.mark.parametrize("smtps", [False, True])
def test_a_certificate_that_is_not_trusted_is_a_relay_that_is_down(serve: Serve, certificate: Certificate, smtps: bool) -> None:
    server = serve(certificate, smtps=smtps)
    with pytest.raises(RelayDownError, match="certificate is not trusted"):
        SmtpTransport(server.url).send(SENDER, ANA, composed())
    assert not server.mails


@pytest.mark.usefixtures("trusted")
def test_a_certificate_of_another_host_is_not_trusted(serve: Serve, certificate: Certificate) -> None:
    server = serve(certificate, smtps=True)
    with pytest.raises(RelayDownError, match="certificate is not trusted"):
        SmtpTransport(server.url.replace("localhost", "127.0.0.1")).send(SENDER, ANA, composed())


def test_a_login_may_go_unencrypted_to_this_host(serve: Serve) -> None:
    server = serve(login=("ana", PASSWORD))
    relay = SmtpTransport(with_login(server, "ana", PASSWORD))
    relay.send(SENDER, ANA, composed())
    relay.close()
    assert len(server.mails) == 1


def test_addresses_of_other_letters_go_where_they_are_understood(serve: Serve) -> None:
    for understands in (True, False):
        server = serve(smtputf8=understands)
        relay = SmtpTransport(server.url)
        if understands:
            relay.send(SENDER, "änne@bücher.example", composed("änne@bücher.example"))
            assert server.mails[0].receivers == ["änne@xn--bcher-kva.example"]
        else:
            with pytest.raises(MailRefusedError, match="SMTPUTF8"):
                relay.send(SENDER, "änne@bücher.example", composed("änne@bücher.example"))
        relay.send("Bell <bell@bücher.example>", ANA, composed())
        assert server.mails[-1].sender == "bell@xn--bcher-kva.example"
        relay.close()


def test_what_can_not_be_an_address_is_refused_without_asking() -> None:
    with pytest.raises(MailRefusedError, match="not a mail address"):
        SmtpTransport("smtp://nowhere.invalid").send(SENDER, "ana@example.org>\r\nDATA", composed())


def test_a_check_sends_nothing(relay: SmtpTransport, smtp_server: SmtpServer) -> None:
    relay.check(5)
    assert (smtp_server.connections, smtp_server.mails) == (1, [])
