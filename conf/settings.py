"""Every setting of Bellwire, read from `BELLWIRE_*` environment variables or `.env` in the checkout.

Commands use `load()`, which reports all errors in one SettingsError. Tests may create `Settings(...)` directly.
"""

import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from conf import parsing
from conf.masking import masked
from conf.secretfile import SecretFileError, read_or_create

PREFIX = "BELLWIRE_"
ROOT = Path(__file__).resolve().parent.parent  # the checkout: relative folders are within it, also from another working directory
ENV_FILE = ROOT / ".env"
BETWEEN_PROCESSES = {"BELLWIRE_CHANNEL"}  # `serve` passes them to the processes that it starts; they are no settings
FILE_SUFFIX = "_FILE"  # NAME_FILE names a file with the value of a secret
REDIS_SCHEMES = ("redis", "rediss", "valkey", "valkeys", "unix", "redis+sentinel", "rediss+sentinel")
SECRET_MIN_CHARS = 16
BUCKET_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")

# A field's description lists the allowed values; it is the end of an error's line.
Port = Annotated[int, Field(ge=0, le=65535, description="a port, 0 (any free one) to 65535")]
Days = Annotated[int, Field(ge=1, le=36500, description="whole days, 1 to 36500")]
Rate = Annotated[str, AfterValidator(parsing.rate), Field(description="rates such as 20/second;600/minute")]
Networks = Annotated[
    list[parsing.Network], NoDecode, BeforeValidator(parsing.networks), Field(description="networks in CIDR notation")
]


class SettingsError(Exception):
    """The settings are invalid. The text has one line per setting: its name, its value (secrets masked), the allowed values."""


class Settings(BaseSettings):
    """The settings of one process, immutable. `conf/example.env` explains each."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    host: str = Field(default="127.0.0.1", min_length=1, description="an address or a host name")
    port: Port = 8080
    data_dir: Path = Field(default=Path("var"), validate_default=True, description="a folder")
    deletions_ledger: Path | None = Field(default=None, description="a file")
    database_url: str | None = Field(
        default=None, repr=False, description="postgresql://user:password@host/name (several hosts by commas), or unset"
    )
    redis_url: str | None = Field(
        default=None, repr=False, description="redis://…, rediss://…, unix://… or redis+sentinel://host,host/service, or unset"
    )
    email_url: str = Field(default="file:", repr=False, description="file:, smtp://… or smtps://…")
    email_from: str = Field(
        default="bellwire@localhost", pattern=parsing.SENDER, description="an address, name@example.org or Name <name@example.org>"
    )
    push_content: bool = Field(default=True, description="on or off")
    mail_connections: int = Field(default=4, ge=1, le=64, description="connections to the mail server, 1 to 64")
    base_url: str | None = Field(default=None, description="http://… or https://…, without query")
    secret_key: SecretStr | None = Field(
        default=None,
        validate_default=True,
        min_length=SECRET_MIN_CHARS,
        description=f"{SECRET_MIN_CHARS} characters or more",
    )
    workers: int = Field(default=2, ge=1, le=64, description="threads, 1 to 64")
    gateways: Annotated[int, BeforeValidator(parsing.gateways)] = Field(default=1, ge=1, le=64, description="auto, or 1 to 64")
    wire: Literal["httptools", "tornado"] = Field(default="httptools", description="httptools or tornado")
    durability: Literal["full", "normal"] = Field(default="full", description="full or normal")
    poll_timeout_s: float = Field(default=30, gt=0, le=600, description="seconds, above 0 and up to 600")
    events_keep_days: Days = 14
    rate_limits: bool = Field(default=True, description="on or off")
    signup: Literal["open", "closed"] = Field(default="open", description="open or closed")
    jwt_issuer: str | None = Field(
        default=None, description="the iss of the host's tokens, such as https://shop.example.org, or unset"
    )
    jwt_audience: str = Field(default="bellwire", min_length=1, description="the aud of the host's tokens")
    jwt_keys: str | None = Field(default=None, validate_default=True, description=parsing.JWT_KEYS)
    jwt_algorithms: Annotated[list[str], NoDecode, BeforeValidator(parsing.jwt_algorithms)] = Field(
        default=["RS256", "ES256", "EdDSA"], description="algorithms separated by commas, of " + ", ".join(parsing.JWT_ALGORITHMS)
    )
    jwt_leeway_s: int = Field(default=30, ge=0, le=600, description="whole seconds, 0 to 600")
    jwt_create: bool = Field(default=True, description="on or off")
    jwt_roles: bool = Field(default=False, description="on or off")
    contacts: Literal["everyone", "shared", "closed"] = Field(default="everyone", description="everyone, shared or closed")
    activity_sample: Annotated[dict[str, float], NoDecode, BeforeValidator(parsing.shares)] = Field(
        default={"message.sent": 1.0}, description="action=share pairs separated by commas, shares from 0 to 1"
    )
    activity_keep_days: Days = 90
    files_url: str = Field(default="files", description=parsing.FILES_URL)
    file_max_mb: int = Field(default=25, ge=1, le=1024, description="whole MiB, 1 to 1024")
    files_per_day_mb: int = Field(default=500, ge=1, le=1_000_000, description="whole MiB, 1 to 1000000")
    metrics_allow: Networks = parsing.networks("127.0.0.1/32,::1/128")
    worker_metrics_port: Port = 9101
    trusted_proxies: Networks = []
    webhook_allow: Networks = []
    webhook_hold_days: Days = 7
    allowed_origins: Annotated[list[str], NoDecode, BeforeValidator(parsing.origins)] = Field(
        default=[], description="origins separated by commas, such as https://chat.example.org"
    )
    limit_send: Rate = "20/second;600/minute"
    limit_signup: Rate = "10/hour"
    limit_login: Rate = "10/minute"
    limit_otp: Rate = "5/hour"
    limit_report: Rate = "20/minute;100/day"
    limit_typing: Rate = "5/second"
    limit_hooks: Rate = "20/second;600/minute"
    limit_rehearsal: Rate = "20/minute"
    limit_client_errors: Rate = "10/minute"
    limit_files: Rate = "500/second"
    limit_uploads: Rate = "100/second;600/minute"
    limit_api: Rate = "100/second"
    limit_acting: Rate = "1000/second"
    limit_events: Rate = "200000/day"
    limit_bytes: Rate = "500000000/day"
    open_polls_per_user: int = Field(default=20, ge=1, le=10_000, description="1 to 10000")
    log_format: Literal["auto", "json", "text"] = Field(default="auto", description="auto, json or text")
    log_level: Literal["debug", "info", "warning", "error", "critical"] = Field(
        default="info", description="debug, info, warning, error or critical"
    )

    @field_validator("durability", "signup", "contacts", "wire", "log_format", "log_level", mode="before")
    @classmethod
    def _any_case(cls, value: Any) -> Any:
        return value.strip().lower() if isinstance(value, str) else value

    @field_validator("data_dir", "deletions_ledger")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else ROOT / value.expanduser()

    @field_validator("database_url")
    @classmethod
    def _database_url(cls, value: str | None) -> str | None:
        return value and parsing.postgresql(value)

    @field_validator("redis_url")
    @classmethod
    def _redis_url(cls, value: str | None) -> str | None:
        requires_host = value is None or not value.startswith("unix:")
        return value and parsing.urls_hosts(value, REDIS_SCHEMES, requires_host=requires_host)

    @field_validator("email_url")
    @classmethod
    def _email_url(cls, value: str) -> str:
        return value if value == "file:" else parsing.relay(value)

    @field_validator("base_url")
    @classmethod
    def _base_url(cls, value: str | None) -> str | None:
        return value and parsing.url(value, ("http", "https")).rstrip("/")

    @field_validator("files_url")
    @classmethod
    def _files_url(cls, value: str, info: ValidationInfo) -> str:
        return parsing.files_url(value, info.data.get("data_dir"))

    @field_validator("jwt_keys")
    @classmethod
    def _jwt_keys(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("jwt_issuer"):
            raise ValueError(f"{parsing.JWT_KEYS}; must be set when BELLWIRE_JWT_ISSUER is")
        return value and parsing.jwt_keys(value)

    @field_validator("secret_key")
    @classmethod
    def _shared_secret(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        # Hosts that share a PostgreSQL would each generate a secret of their own.
        if value is None and info.data.get("database_url"):
            raise ValueError(f"{SECRET_MIN_CHARS} characters or more; must be set when the database is PostgreSQL")
        return value

    @property
    def sqlite_path(self) -> Path:
        """The database when `database_url` is not set."""
        return self.data_dir / "bellwire.db"

    @property
    def queue_path(self) -> Path:
        """The queue's SQLite file, used when neither Redis nor PostgreSQL is set."""
        return self.data_dir / "huey.db"

    @property
    def files_in_bucket(self) -> bool:
        """Whether the bytes of files are in a bucket."""
        return self.files_url.startswith("s3://")

    @property
    def files_path(self) -> Path:
        """The folder of the bytes of files, unless they are in a bucket."""
        return self.data_dir / self.files_url

    @property
    def deletions_path(self) -> Path:
        """The ledger of deletions, from which a restored store deletes again."""
        return self.deletions_ledger or self.data_dir / "deletions.ndjson"

    @property
    def sends_mail(self) -> bool:
        """Whether a mail server is set. Without one, mails become files."""
        return self.email_url != "file:"

    @property
    def url(self) -> str:
        """The address of this installation for people, without a slash at the end."""
        if self.base_url:
            return self.base_url
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def secret(self) -> str:
        """The key that signs codes and links: `secret_key` if it is set, else the one in `data_dir`/secret, created on first use.

        Raises SettingsError when that file can't be created or read.
        """
        if self.secret_key is not None:
            return self.secret_key.get_secret_value()
        try:
            return read_or_create(self.data_dir / "secret", min_chars=SECRET_MIN_CHARS)
        except SecretFileError as error:
            raise SettingsError(f"{PREFIX}DATA_DIR={str(self.data_dir)!r}: {error}") from error


def secret_fields() -> set[str]:
    """Return the settings that contain secrets: those that are not shown."""
    return {name for name, field in Settings.model_fields.items() if not field.repr or "SecretStr" in str(field.annotation)}


def load() -> Settings:
    """The settings of this process. Raises SettingsError; warns of BELLWIRE_ variables that do not exist."""
    variables = {name.upper(): value for name, value in _variables().items() if value}
    _warn_of_unknown(variables)
    try:
        return Settings(_env_file=ENV_FILE, **_from_files(variables))  # type: ignore[call-arg]
    except ValidationError as error:
        raise SettingsError("\n".join(_lines(error))) from None


def _variables() -> dict[str, str | None]:
    """Return the variables of `.env` and of the environment, which wins. Raises SettingsError."""
    try:
        return {**dotenv_values(ENV_FILE), **os.environ}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{ENV_FILE}: allowed is a file that can be read, in UTF-8 ({error})") from error


def _from_files(variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the secrets that are in files, by field. Raises SettingsError."""
    found = {}
    for field in sorted(secret_fields()):
        name = PREFIX + field.upper()
        file = variables.get(name + FILE_SUFFIX)
        if file is None:
            continue
        if name in variables:
            raise SettingsError(f"{name}{FILE_SUFFIX} = {file!r}: allowed is only one of {name} and {name}{FILE_SUFFIX}")
        found[field] = _content(name, file)
    return found


def _content(name: str, file: str) -> str:
    try:
        return (ROOT / Path(file).expanduser()).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}{FILE_SUFFIX} = {file!r}: allowed is a file that can be read ({error})") from error


def bucket_keys() -> dict[str, str]:
    """The keys of a bucket that are in `.env` or in files, by the names that AWS gave them. Raises SettingsError.

    Those in the environment, and all else that AWS knows, are found by the library that uses them.
    """
    variables = _variables()
    found = {}
    for name in BUCKET_KEYS:
        if value := variables.get(name):
            found[name] = value
        elif file := variables.get(name + FILE_SUFFIX):
            found[name] = _content(name, file)
    return found


def _lines(error: ValidationError) -> list[str]:
    lines: dict[str, str] = {}
    for detail in error.errors(include_url=False):
        field = str(detail["loc"][0])
        value = detail["input"]
        current = "is not set" if value is None else f"= {masked(field, str(value))!r}"
        own = detail.get("ctx", {}).get("error") if detail["type"] == "value_error" else None
        allowed = own or Settings.model_fields[field].description
        lines.setdefault(field, f"{PREFIX}{field.upper()} {current}: allowed is {allowed}")
    return list(lines.values())


def _warn_of_unknown(variables: Iterable[str]) -> None:
    known = {PREFIX + field.upper() for field in Settings.model_fields}
    known |= {PREFIX + field.upper() + FILE_SUFFIX for field in secret_fields()}
    for name in sorted(set(variables) - BETWEEN_PROCESSES):
        if name.startswith(PREFIX) and name not in known:
            logging.getLogger("conf").warning("%s is not a setting of Bellwire and is ignored", name)
