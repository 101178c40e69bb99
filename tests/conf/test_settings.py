import itertools
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

import pytest

from conf import VERSION, Settings, SettingsError, load, parsing
from conf import settings as settings_module

EXAMPLE = Path(__file__).parents[2] / "conf" / "example.env"

# The defaults of the documentation; None means "not set".
DEFAULTS = {
    "host": "127.0.0.1",
    "port": 8080,
    "data_dir": Path(__file__).parents[2] / "var",
    "deletions_ledger": None,
    "database_url": None,
    "redis_url": None,
    "email_url": "file:",
    "email_from": "bellwire@localhost",
    "mail_connections": 4,
    "push_content": True,
    "base_url": None,
    "secret_key": None,
    "workers": 2,
    "gateways": 1,
    "wire": "httptools",
    "durability": "full",
    "poll_timeout_s": 30,
    "events_keep_days": 14,
    "rate_limits": True,
    "signup": "open",
    "jwt_issuer": None,
    "jwt_audience": "bellwire",
    "jwt_keys": None,
    "jwt_algorithms": ["RS256", "ES256", "EdDSA"],
    "jwt_leeway_s": 30,
    "jwt_create": True,
    "jwt_roles": False,
    "contacts": "everyone",
    "activity_sample": {"message.sent": 1.0},
    "activity_keep_days": 90,
    "files_url": "files",
    "file_max_mb": 25,
    "files_per_day_mb": 500,
    "metrics_allow": [ip_network("127.0.0.1/32"), ip_network("::1/128")],
    "worker_metrics_port": 9101,
    "trusted_proxies": [],
    "webhook_allow": [],
    "webhook_hold_days": 7,
    "allowed_origins": [],
    "limit_send": "20/second;600/minute",
    "limit_signup": "10/hour",
    "limit_login": "10/minute",
    "limit_otp": "5/hour",
    "limit_report": "20/minute;100/day",
    "limit_typing": "5/second",
    "limit_hooks": "20/second;600/minute",
    "limit_rehearsal": "20/minute",
    "limit_client_errors": "10/minute",
    "limit_files": "500/second",
    "limit_uploads": "100/second;600/minute",
    "limit_api": "100/second",
    "limit_acting": "1000/second",
    "limit_events": "200000/day",
    "limit_bytes": "500000000/day",
    "open_polls_per_user": 20,
    "log_format": "auto",
    "log_level": "info",
}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.upper().startswith("BELLWIRE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(settings_module, "ENV_FILE", tmp_path / ".env")


def example() -> dict[str, str]:
    return dict(re.findall(r"^# (BELLWIRE_[A-Z_]+)=(.*)$", EXAMPLE.read_text("utf-8"), re.MULTILINE))


def refused(monkeypatch: pytest.MonkeyPatch, **environment: str) -> list[str]:
    for name, value in environment.items():
        monkeypatch.setenv(f"BELLWIRE_{name}", value)
    with pytest.raises(SettingsError) as caught:
        load()
    return str(caught.value).splitlines()


def test_defaults_are_the_documented_ones() -> None:
    assert load().model_dump() == DEFAULTS


def test_the_example_lists_each_setting_once_and_nothing_else() -> None:
    names = re.findall(r"^#? ?(\w+)=", EXAMPLE.read_text("utf-8"), re.MULTILINE)
    assert sorted(names) == sorted(f"BELLWIRE_{field.upper()}" for field in Settings.model_fields)


def test_the_example_without_its_comment_signs_is_the_default() -> None:
    Path(".env").write_text("".join(f"{name}={value}\n" for name, value in example().items()), "utf-8")
    assert load() == Settings(_env_file=None)


@pytest.mark.parametrize(("cores", "expected"), [({0}, 1), ({0, 3}, 1), ({0, 1, 2, 5}, 3)])
def test_automatic_gateways_leave_a_core_to_the_workers(monkeypatch: pytest.MonkeyPatch, cores: set[int], expected: int) -> None:
    monkeypatch.setenv("BELLWIRE_GATEWAYS", "auto")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: cores, raising=False)
    assert load().gateways == expected
    monkeypatch.delattr(os, "sched_getaffinity")  # another system than Linux
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert load().gateways == 3


def test_each_setting_of_the_example_is_explained() -> None:
    lines = EXAMPLE.read_text("utf-8").splitlines()
    for before, line in itertools.pairwise(lines):
        if line.startswith("# BELLWIRE_"):
            assert before.startswith("# "), line
            assert not before.startswith("# BELLWIRE_"), line


def test_a_relative_folder_and_the_file_are_the_checkouts_from_any_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = Path(__file__).parents[2]
    monkeypatch.setenv("BELLWIRE_DATA_DIR", "some/folder")
    assert load().data_dir == checkout / "some" / "folder"
    monkeypatch.setenv("BELLWIRE_DATA_DIR", str(tmp_path))
    assert load().data_dir == tmp_path
    shutil.copytree(checkout / "conf", tmp_path / "conf")
    (tmp_path / ".env").write_text("BELLWIRE_DATA_DIR=data\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BELLWIRE_")}
    done = subprocess.run(
        [sys.executable, "-c", "from conf import load; print(load().data_dir)"],
        cwd="/",
        env=environment | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{tmp_path / 'data'}\n"


def test_any_secret_may_be_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {
        "DATABASE_URL": "postgresql://me:pass@db/bellwire",
        "REDIS_URL": "redis://:pass@cache/0",
        "EMAIL_URL": "smtp://me:pass@relay",
        "SECRET_KEY": "k" * 32,
    }
    for name, value in secrets.items():
        (tmp_path / name).write_text(f"{value}\n")
        monkeypatch.setenv(f"BELLWIRE_{name}_FILE", str(tmp_path / name))
    loaded = load()
    assert [loaded.database_url, loaded.redis_url, loaded.email_url, loaded.secret()] == list(secrets.values())


def test_a_secrets_file_that_cannot_be_used_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = refused(monkeypatch, SECRET_KEY_FILE=str(tmp_path / "missing"))
    assert line.startswith(f"BELLWIRE_SECRET_KEY_FILE = '{tmp_path}/missing': allowed is a file that can be read")
    (line,) = refused(monkeypatch, SECRET_KEY="k" * 32)
    assert "only one of BELLWIRE_SECRET_KEY and BELLWIRE_SECRET_KEY_FILE" in line
    (tmp_path / "short").write_text("short")
    monkeypatch.delenv("BELLWIRE_SECRET_KEY")
    (line,) = refused(monkeypatch, SECRET_KEY_FILE=str(tmp_path / "short"))
    assert line == "BELLWIRE_SECRET_KEY = '***': allowed is 16 characters or more"


@pytest.mark.parametrize("read", [load, settings_module.bucket_keys])
def test_a_file_that_is_no_text_is_named(read: Callable[[], object]) -> None:
    Path(".env").write_bytes(b"BELLWIRE_SMTP=\xff\n")
    with pytest.raises(SettingsError, match=r"\.env: allowed is a file that can be read, in UTF-8"):
        read()


def test_the_environment_overrides_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("BELLWIRE_PORT=9000\nBELLWIRE_SIGNUP=closed\n")
    monkeypatch.setenv("BELLWIRE_PORT", "9001")
    assert (load().port, load().signup) == (9001, "closed")


def test_lists_are_read_from_their_plain_notation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELLWIRE_TRUSTED_PROXIES", "10.0.0.0/8, 192.168.1.7,fd00::/8")
    monkeypatch.setenv("BELLWIRE_ALLOWED_ORIGINS", "https://Chat.example.org/,http://b.example:8080")
    monkeypatch.setenv("BELLWIRE_ACTIVITY_SAMPLE", "message.sent=0.5,message.read=0")
    settings = load()
    assert settings.trusted_proxies == [ip_network(n) for n in ("10.0.0.0/8", "192.168.1.7/32", "fd00::/8")]
    assert settings.allowed_origins == ["https://chat.example.org", "http://b.example:8080"]
    assert settings.activity_sample == {"message.sent": 0.5, "message.read": 0.0}


def test_rate_limits_are_on_or_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELLWIRE_RATE_LIMITS", "off")
    assert load().rate_limits is False


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "http"),
        ("WORKERS", "0"),
        ("DURABILITY", "maybe"),
        ("POLL_TIMEOUT_S", "0"),
        ("POLL_TIMEOUT_S", "nan"),
        ("EVENTS_KEEP_DAYS", "0"),
        ("ACTIVITY_KEEP_DAYS", "1.5"),
        ("RATE_LIMITS", "perhaps"),
        ("SIGNUP", "invite"),
        ("ACTIVITY_SAMPLE", "message.sent"),
        ("ACTIVITY_SAMPLE", "message.sent=1.1"),
        ("ACTIVITY_SAMPLE", "message.sent=nan"),
        ("METRICS_ALLOW", "localhost"),
        ("WORKER_METRICS_PORT", "70000"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("ALLOWED_ORIGINS", "*"),
        ("ALLOWED_ORIGINS", "https://chat.example.org/path"),
        ("LIMIT_SEND", "many"),
        ("LIMIT_API", "5/fortnight"),
        ("OPEN_POLLS_PER_USER", "0"),
        ("BASE_URL", "chat.example.org"),
        ("DATABASE_URL", "mysql://db/bellwire"),
        ("REDIS_URL", "http://cache"),
        ("EMAIL_URL", "smtp://"),
        ("EMAIL_URL", "smtp://mail:port"),
        ("EMAIL_URL", "smtp://mail:587?starttls=yes"),
        ("EMAIL_URL", "smtps://mail?starttls=1"),
        ("EMAIL_URL", "smtp://mail:0"),
        ("EMAIL_URL", "mail.example.org"),
        ("EMAIL_URL", "file:/somewhere"),
        ("EMAIL_URL", "smtp://mail?starttls"),
        ("EMAIL_URL", "smtp://mail?tls=1"),
        ("EMAIL_URL", "smtp://mail?starttls=1&starttls=0"),
        ("EMAIL_URL", "smtp://mail/inbox"),
        ("EMAIL_URL", "smtp://mail#x"),
        ("EMAIL_URL", "smtp://somebody@mail"),
        ("EMAIL_FROM", "nobody"),
        ("EMAIL_FROM", "Bell a@b.example"),
        ("EMAIL_FROM", "Bell <a@b.example"),
        ("EMAIL_FROM", "a@b.example, c@d.example"),
        ("JWT_KEYS", "http://keys.example.org/jwks"),
        ("JWT_KEYS", "ftp://keys.example.org/jwks"),
        ("JWT_ALGORITHMS", "RS256,none"),
        ("JWT_ALGORITHMS", "HS512"),
        ("JWT_LEEWAY_S", "-1"),
        ("FILES_URL", "."),
        ("FILES_URL", ".."),
        ("FILES_URL", "/"),
        ("FILES_URL", "https://s3.example.org/bucket"),
        ("FILES_URL", "s3:bucket"),
        ("FILES_URL", "s3://"),
        ("FILES_URL", "s3://ab"),
        ("FILES_URL", "s3:///prefix"),
        ("FILES_URL", "s3://Bucket"),
        ("FILES_URL", "s3://bucket:80"),
        ("FILES_URL", "s3://bucket/../other"),
        ("FILES_URL", "s3://bucket/a//b"),
        ("FILES_URL", "s3://bucket#x"),
        ("FILES_URL", "s3://bucket?endpoint"),
        ("FILES_URL", "s3://bucket?endpoint="),
        ("FILES_URL", "s3://bucket?endpoint=s3.example.org"),
        ("FILES_URL", "s3://bucket?endpoint=https://s3.example.org/path"),
        ("FILES_URL", "s3://bucket?region="),
        ("FILES_URL", "s3://bucket?region=eu&region=us"),
        ("FILES_URL", "s3://bucket?endpiont=https://s3.example.org"),
        ("JWT_CREATE", "maybe"),
        ("JWT_ROLES", "admin"),
        ("SECRET_KEY", "short"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_an_invalid_value_is_refused_and_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    (line,) = refused(monkeypatch, **{name: value})
    assert line.startswith(f"BELLWIRE_{name} = ")
    assert "allowed is " in line
    assert (value in line) is (name != "SECRET_KEY")


@pytest.mark.parametrize(
    "url",
    [
        "s3://key:hunter2@bucket/prefix",
        "s3://bucket?endpoint=https://key:hunter2@s3.example.org",
        "s3://bucket?secret_access_key=hunter2",
        "s3://bucket?access_key_id=hunter2",
    ],
)
def test_the_keys_of_a_bucket_are_not_in_its_url(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    (line,) = refused(monkeypatch, FILES_URL=url)
    assert "hunter2" not in line
    assert "s3://bucket/prefix?endpoint=https://…&region=…" in line


def test_files_are_in_a_folder_or_a_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ana")
    for url, folder in (("pictures", tmp_path / "pictures"), ("/srv/files", Path("/srv/files")), ("~/f", Path("/home/ana/f"))):
        assert Settings(data_dir=tmp_path, files_url=url).files_path == folder
    bucket = "s3://my.bucket-1/some/prefix/?endpoint=http://127.0.0.1:9000/&region=eu-central-1"
    assert Settings(files_url=bucket).files_url == bucket
    assert parsing.bucket(bucket) == ("my.bucket-1", "some/prefix", "http://127.0.0.1:9000", "eu-central-1")
    assert parsing.bucket("s3://bucket") == ("bucket", "", None, None)


def test_an_issuer_has_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = refused(monkeypatch, JWT_ISSUER="https://shop.example.org")
    assert line.startswith("BELLWIRE_JWT_KEYS is not set: allowed is an https:// address")


@pytest.mark.parametrize(
    "keys", ["http://127.0.0.1:3000/jwks", "http://[::1]/k", "http://localhost/k", "https://a.example", "key.pem"]
)
def test_the_keys_are_an_encrypted_address_or_a_file(monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    monkeypatch.setenv("BELLWIRE_JWT_KEYS", keys)
    monkeypatch.setenv("BELLWIRE_JWT_ALGORITHMS", "ES256, HS256")
    assert (load().jwt_keys, load().jwt_algorithms) == (keys, ["ES256", "HS256"])


@pytest.mark.parametrize(
    "url",
    [
        "file:",
        "smtp://mail",
        "smtp://mail:25/",
        "smtp://mail?starttls=0",
        "smtp://somebody:s%2Fcret@mail:587?starttls=1",
        "smtps://somebody:secret@[::1]:465",
    ],
)
def test_the_mail_url_is_a_folder_or_a_server(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("BELLWIRE_EMAIL_URL", url)
    assert load().email_url == url


@pytest.mark.parametrize("sender", ["bell@example.org", "Bell <bell@example.org>", '"Bell, Inc." <bell@bücher.example>'])
def test_the_sender_is_an_address_with_or_without_a_name(monkeypatch: pytest.MonkeyPatch, sender: str) -> None:
    monkeypatch.setenv("BELLWIRE_EMAIL_FROM", sender)
    assert load().email_from == sender


def test_each_invalid_setting_has_its_own_line(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = refused(monkeypatch, PORT="99999", WORKERS="none")
    assert lines == [
        "BELLWIRE_PORT = '99999': allowed is a port, 0 (any free one) to 65535",
        "BELLWIRE_WORKERS = 'none': allowed is threads, 1 to 64",
    ]


@pytest.mark.parametrize(
    "url", ["mysql://u:hunter2@db/x", "mysql://db/x?user=u&password=hunter2", "x://:hunter2@db", "postgresql://u:hunter2%zz@db/x"]
)
def test_errors_mask_passwords(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    (line,) = refused(monkeypatch, DATABASE_URL=url)
    assert "hunter2" not in line
    assert "***" in line


def test_the_repr_contains_no_password() -> None:
    settings = Settings(
        database_url="postgresql://u:hunter2@db/x",
        redis_url="redis://:hunter2@cache",
        email_url="smtp://u:hunter2@mail",
        secret_key="hunter2-hunter2-hunter2",
    )
    assert "hunter2" not in repr(settings)


def test_postgresql_needs_a_shared_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = refused(monkeypatch, DATABASE_URL="postgresql://db/bellwire")
    assert line.startswith("BELLWIRE_SECRET_KEY is not set: ")
    monkeypatch.setenv("BELLWIRE_SECRET_KEY", "k" * 32)
    assert load().secret() == "k" * 32


def test_serves_own_variables_are_no_unknown_settings(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("BELLWIRE_CHANNEL", "/run/bellwire/channel.sock")
    load()
    assert "BELLWIRE_CHANNEL" not in caplog.text


def test_an_unknown_setting_is_named_and_ignored(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    Path(".env").write_text("BELLWIRE_PROT=9000\nOTHER=1\n")
    monkeypatch.setenv("BELLWIRE_HOTS", "x")
    load()
    assert [record.args for record in caplog.records] == [("BELLWIRE_HOTS",), ("BELLWIRE_PROT",)]


def test_an_empty_value_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELLWIRE_REDIS_URL", "")
    assert load().redis_url is None


@pytest.mark.parametrize(
    ("host", "base_url", "url"),
    [
        ("127.0.0.1", None, "http://127.0.0.1:8080"),
        ("0.0.0.0", None, "http://127.0.0.1:8080"),
        ("::", None, "http://[::1]:8080"),
        ("127.0.0.1", "https://chat.example.org/", "https://chat.example.org"),
    ],
)
def test_the_url_is_base_url_or_made_of_host_and_port(host: str, base_url: str | None, url: str) -> None:
    assert Settings(host=host, base_url=base_url).url == url


def test_a_generated_secret_is_private_and_permanent(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    secret = settings.secret()
    assert len(secret) >= 32
    assert settings.secret() == secret
    assert stat.S_IMODE((tmp_path / "data" / "secret").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["secret"]


def test_processes_that_start_at_the_same_time_share_one_secret(tmp_path: Path) -> None:
    secrets: list[str] = []
    threads = [threading.Thread(target=lambda: secrets.append(Settings(data_dir=tmp_path / "data").secret())) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(secrets) == 16
    assert len(set(secrets)) == 1


def test_a_damaged_secret_is_an_error_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("")
    with pytest.raises(SettingsError, match="BELLWIRE_DATA_DIR"):
        Settings(data_dir=tmp_path).secret()
    assert (tmp_path / "secret").read_text() == ""


def test_the_version_is_that_of_the_package() -> None:
    project = tomllib.loads((EXAMPLE.parents[1] / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        ("https://chat.example.org:443", "https://chat.example.org"),
        ("http://Chat.example.org:80/", "http://chat.example.org"),
        ("https://chat.example.org:80", "https://chat.example.org:80"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_an_origin_is_kept_as_browsers_send_it(given: str, origin: str) -> None:
    assert parsing.origins(given) == [origin]


@pytest.mark.parametrize("given", ["*", "null", "chat.example.org", "ftp://a.example", "https://", "https://*.example.org"])
def test_an_origin_that_no_browser_sends_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="separated by commas"):
        parsing.origins(given)


@pytest.mark.parametrize("given", ["https://a b.example", "https://me@a.example", "https://a.example/x", "https://a.example?x"])
def test_an_origin_has_no_other_part(given: str) -> None:
    with pytest.raises(ValueError, match="separated by commas"):
        parsing.origins(given)


@pytest.mark.parametrize("port", ["99999", "0", "x"])
def test_an_origin_with_an_impossible_port_is_refused(port: str) -> None:
    with pytest.raises(ValueError, match="separated by commas"):
        parsing.origins(f"https://a.example:{port}")
