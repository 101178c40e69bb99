import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands.doctor import reach
from conf import Settings
from models.blobs.folder import Folder
from models.blobs.opening import open_store
from models.store.database import disconnect
from tests.commands.installation import ROOT, Installation
from tests.gateway.jwt.issuer import ec_key, pem
from tests.models.people import people
from tests.models.stored_files import store_file
from tests.s3_server import url_of
from tests.smtp_server import SmtpServer
from tests.stores import free_port, open_migrated

DAY_MS = 86_400_000


@pytest.fixture
def listener() -> Iterator[int]:
    """The port of something that accepts connections, and is no Bellwire."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def examined(bellwire: Installation, **settings: str) -> tuple[int, list[str]]:
    done = bellwire.command("doctor", **settings)
    assert "Traceback" not in done.stderr
    lines = done.stdout.splitlines()
    assert {line.split()[0] for line in lines} <= {"ok", "warn", "FAIL"}
    return done.returncode, lines


def line_of(lines: list[str], *words: str) -> str:
    (found,) = [line for line in lines if all(word in line for word in words)]
    return found


def test_a_healthy_installation_has_no_failure(bellwire: Installation) -> None:
    bellwire.succeed("create-admin", "--new", "--username", "ana", "--email", "ana@example.org")
    status, lines = examined(bellwire)
    assert status == 0
    for name in ("settings", "data folder", "disk", "clock", "store", "schema", "ledger", "dead work", "queue", "mail", "gateway"):
        assert any(line[6:].startswith(name) for line in lines), name
    assert not [line for line in lines if line.startswith("FAIL")]


def test_a_fresh_folder_is_looked_at_without_being_made(bellwire: Installation) -> None:
    status, lines = examined(bellwire)
    assert status == 0
    assert "run.py migrate" in line_of(lines, "warn", "store")
    assert not bellwire.data.exists()


def test_the_line_that_it_advises_can_be_pasted(bellwire: Installation) -> None:
    bellwire.succeed("migrate")
    advised = re.search("`(.+)`", line_of(examined(bellwire)[1], "admins: none"))
    assert advised
    pasted = advised[1].replace("NAME", "ana").replace("ADDRESS", "ana@example.org")
    subprocess.run(["sh", "-c", pasted], cwd=bellwire.folder, env=bellwire.environment(), check=True, capture_output=True)
    assert bellwire.rows("SELECT username, role FROM users") == [("ana", "admin")]


def test_bad_settings_fail_with_a_line_each(bellwire: Installation) -> None:
    status, lines = examined(bellwire, PORT="no", REDIS_URL="http://a:hunter2@host")
    assert status == 1
    assert [line.split(":")[1].split()[0] for line in lines] == ["BELLWIRE_PORT", "BELLWIRE_REDIS_URL"]
    assert "hunter2" not in "".join(lines)


def test_a_folder_that_can_not_be_written_fails(bellwire: Installation) -> None:
    bellwire.data.write_text("a file")
    status, lines = examined(bellwire)
    assert status == 1
    assert "BELLWIRE_DATA_DIR" in line_of(lines, "FAIL", "data folder")


def test_a_damaged_database_fails_and_points_to_restore(bellwire: Installation) -> None:
    bellwire.succeed("migrate")
    with bellwire.database.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 4)
    status, lines = examined(bellwire)
    assert status == 1
    assert "run.py restore" in line_of(lines, "FAIL", "store")


def test_pending_migrations_fail(bellwire: Installation) -> None:
    bellwire.succeed("migrate")
    bellwire.write("DELETE FROM schema_migration")
    status, lines = examined(bellwire)
    assert status == 1
    assert "run.py migrate" in line_of(lines, "FAIL", "schema", "0001_initial")


def test_a_damaged_queue_fails(bellwire: Installation) -> None:
    bellwire.succeed("migrate")
    (bellwire.data / "huey.db").write_bytes(b"not a queue" * 1000)
    status, lines = examined(bellwire)
    assert status == 1
    assert "remove the file" in line_of(lines, "FAIL", "queue")


def test_a_clock_behind_the_log_fails(bellwire: Installation) -> None:
    bellwire.succeed("migrate")
    now = "CAST(strftime('%s','now') AS INTEGER)*1000"
    bellwire.write(f"INSERT INTO events (stream, type, at_ms, data) VALUES ('user:1', 'x', {now}+{DAY_MS}, '{{}}')")
    status, lines = examined(bellwire)
    assert status == 1
    assert "NTP" in line_of(lines, "FAIL", "clock", "future")


def test_a_consumer_that_lags_and_dead_events_are_warned_of(bellwire: Installation) -> None:
    bellwire.succeed("migrate")
    bellwire.write("INSERT INTO events (stream, type, at_ms, data) VALUES ('conversation:1', 'message.created', 1000, '{}')")
    bellwire.write("INSERT INTO checkpoints VALUES ('notify', 0, 0, 0), ('activity', 0, 1, 0)")
    bellwire.write("INSERT INTO dead_work (consumer, event_id, error, parked_ms, retry) VALUES ('notify', 1, 'why', 0, 0)")
    names = "username, username_key, email, email_key, display_name, display_key, role, status, watches, created_ms"
    bellwire.write(f"INSERT INTO users (id, {names}) VALUES (7, 'deleted-7', '', '', '', '', '', 'user', 'deleted', '{{}}', 0)")
    job = "user_id, texts, names, step, position, counts, created_ms"
    bellwire.write(f"INSERT INTO deletions ({job}) VALUES (7, 'keep', '[]', '', '', '{{}}', 1)")
    status, lines = examined(bellwire)
    assert status == 0
    assert "is a worker running?" in line_of(lines, "warn", "consumer notify")
    assert "0 s behind" in line_of(lines, "ok", "consumer activity")
    assert "retry" in line_of(lines, "warn", "dead work: 1")
    assert "BELLWIRE_DELETIONS_LEDGER" in line_of(lines, "warn", "ledger of deletions: 1 of 1 are not in")


def test_a_port_of_something_else_fails(bellwire: Installation, listener: int) -> None:
    status, lines = examined(bellwire, PORT=str(listener))
    assert status == 1
    assert "BELLWIRE_PORT" in line_of(lines, "FAIL", f"port {listener}")


def test_gateways_at_other_ports_are_found_also_when_they_hang_or_have_died(bellwire: Installation) -> None:
    bellwire.succeed("migrate")
    here, there = int(bellwire.settings["PORT"]), free_port()
    gateway = bellwire.start(ROOT / "run.py", "gateway", PORT=str(there))
    assert gateway.stdout is not None
    assert str(there) in gateway.stdout.readline()

    def findings() -> list[str]:
        return [str(finding) for finding in reach.port(Settings(data_dir=bellwire.data, port=here))]

    assert "answers" in line_of(findings(), f"port {there}")
    gateway.send_signal(signal.SIGSTOP)
    assert "does not answer" in line_of(findings(), "FAIL", f"port {there}")
    gateway.kill()
    gateway.wait()
    died, configured = findings()
    assert "without being stopped" in line_of([died], "warn", f"port {there}")
    assert "the port is free" in line_of([configured], "ok", f"port {here}")


def test_a_mail_server_is_logged_in_to_and_gets_nothing(bellwire: Installation) -> None:
    server = SmtpServer(login=("ana", "a password")).start()
    status, lines = examined(bellwire, EMAIL_URL=f"smtp://ana:a%20password@localhost:{server.port}")
    assert status == 0, lines
    assert line_of(lines, "ok", f"mail server localhost port {server.port}")
    status, lines = examined(bellwire, EMAIL_URL=f"smtp://ana:wrong@localhost:{server.port}")
    assert status == 1
    assert "refuses the login" in line_of(lines, "FAIL", "mail server localhost")
    assert server.mails == []
    server.stop()
    status, lines = examined(bellwire, EMAIL_URL="smtp://somebody:hunter2@127.0.0.1:1")
    assert status == 1
    assert "BELLWIRE_EMAIL_URL" in line_of(lines, "FAIL", "mail server 127.0.0.1 port 1")
    assert "hunter2" not in "".join(lines)


def test_the_keys_of_the_hosts_tokens_can_be_read(tmp_path: Path) -> None:
    keys = tmp_path / "keys.pem"
    settings = Settings(jwt_issuer="https://shop.example.org", jwt_keys=str(keys))
    (missing,) = reach.host_tokens(settings)
    keys.write_bytes(pem(ec_key()))
    (found,) = reach.host_tokens(settings)

    assert "BELLWIRE_JWT_KEYS" in line_of([str(missing)], "FAIL", "keys of https://shop.example.org")
    assert line_of([str(found)], "ok", "keys of https://shop.example.org: 1")
    assert list(reach.host_tokens(Settings())) == []


def with_file(bellwire: Installation, files_url: str) -> list[str]:
    """Upload a file with a thumbnail; return the keys of both objects."""
    bellwire.settings["FILES_URL"] = files_url
    settings = Settings(data_dir=bellwire.data, files_url=files_url)
    open_migrated(settings)
    store_file(open_store(settings), *people("ana"), b"a picture", b"smaller")
    disconnect()
    return [key for (key,) in bellwire.rows("SELECT key FROM blobs ORDER BY id")]


def test_files_and_their_objects_are_compared_both_ways(bellwire: Installation, files_url: str) -> None:
    content, thumbnail = with_file(bellwire, files_url)
    objects = open_store(Settings(data_dir=bellwire.data, files_url=files_url))
    status, lines = examined(bellwire)
    assert status == 0
    assert line_of(lines, "ok", "files: 2 objects", "0 orphans, 0 missing")
    assert line_of(lines, "ok", "rows of files: consistent")
    assert line_of(lines, "ok", "files: 0 being uploaded, 0 to be removed")
    objects.put("cd" * 16, bellwire.database)
    assert "cd" * 16 in line_of(examined(bellwire)[1], "warn", "1 orphans, 0 missing")
    objects.remove([thumbnail])
    objects.put(content, bellwire.database)
    status, lines = examined(bellwire)
    assert status == 1
    assert thumbnail in line_of(lines, "FAIL", "1 orphans, 1 missing")
    assert content in line_of(lines, "FAIL", "1 damaged")
    objects.remove([content])
    assert "is its disk mounted" in line_of(examined(bellwire)[1], "FAIL", "2 missing")


def test_checksums_of_files_are_compared_if_that_is_requested(bellwire: Installation) -> None:
    content, _ = with_file(bellwire, "files")
    Folder(bellwire.data / "files").local_path(content).write_bytes(b"A picture")
    assert examined(bellwire)[0] == 0
    done = bellwire.command("doctor", "--checksums")
    assert done.returncode == 1
    assert content in line_of(done.stdout.splitlines(), "FAIL", "1 damaged")


def test_the_folder_of_files_is_private_and_uploads_that_nobody_removes_are_warned_of(bellwire: Installation) -> None:
    with_file(bellwire, "files")
    (bellwire.data / "files").chmod(0o755)
    bellwire.write("INSERT INTO blobs (key, bytes, state, since_ms) VALUES ('left', 7, 'writing', 0), ('unused', 7, 'unused', 0)")
    _, lines = examined(bellwire)
    assert "chmod 700" in line_of(lines, "warn", "folder of files")
    assert "2 of them are late" in line_of(lines, "warn", "1 being uploaded, 1 to be removed")


def test_a_bucket_that_can_not_be_reached_fails(bellwire: Installation) -> None:
    bellwire.succeed("migrate")
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "hunter2"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in keys.items():
            patch.setenv(name, value)
        status, lines = examined(bellwire, FILES_URL=url_of("http://127.0.0.1:1"))
    assert status == 1
    assert "error sending request" in line_of(lines, "FAIL", "files in s3://")
    assert "hunter2" not in "".join(lines)
