"""Connections to a Valkey (or Redis) server, and its troubles in words. Needs the `valkey` package.

Only commands and their answers, as bytes; what they mean is said in `valkey_texts`. Answers are RESP2: there one
connection can follow changes and be asked whether it lives, with any parser that the package picks.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from valkey.connection import Connection as PlainConnection
from valkey.connection import ConnectionPool, parse_url
from valkey.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    InvalidResponse,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    ValkeyError,
)
from valkey.exceptions import TimeoutError as Late

from legato.errors import StoreUnavailable

SECONDS = 5.0  # to connect, and to wait for an answer

Command = tuple[str | bytes | int, ...]

OPTIONS = {"host", "port", "path", "db", "username", "password", "client_name"}.union(
    {"socket_keepalive", "socket_timeout", "socket_connect_timeout"}
)
DEFAULTS = {"db": 0, "socket_timeout": SECONDS, "socket_connect_timeout": SECONDS}
# Bytes as they are, on the protocol that is read here.
FIXED = {"decode_responses": False, "protocol": 2, "lib_name": None, "lib_version": None}

REMEDIES: tuple[tuple[type[Exception], str], ...] = (
    (AuthenticationError, "name user and password in the URL: valkey://USER:PASSWORD@HOST:PORT/DB"),
    (
        NoPermissionError,
        "allow the user ~fnkit:pipeline:* ~legato:flow:* &__redis__:invalidate &__key* "
        "+@connection +@read +@write +@transaction +@pubsub +info",
    ),
    (ReadOnlyError, "this server is a replica: name the one that takes writes"),
    (OutOfMemoryError, "the server is full: raise its maxmemory, or take other keys away"),
    (BusyLoadingError, "wait until the server has read its data"),
    (Late, "see whether the server hangs, and whether the network lets it be reached"),
    (ResponseError, "see what the server says, and correct its settings or the URL"),
    (InvalidResponse, "see whether the URL names a Valkey server"),
)


class Connection(Protocol):
    """What is used of the package's connection."""

    def connect(self) -> None: ...
    def disconnect(self) -> None: ...
    def pack_commands(self, commands: Sequence[Command]) -> list[bytes]: ...
    def send_packed_command(self, command: list[bytes]) -> None: ...
    def read_response(self) -> Any: ...
    def can_read(self, timeout: float = 0) -> bool: ...


class Pool(Protocol):
    """What is used of the package's pool."""

    def get_connection(self, command_name: str) -> Connection: ...
    def release(self, connection: Connection) -> None: ...
    def disconnect(self, inuse_connections: bool = True) -> None: ...


class Channel:
    """One connection. Where it fails it raises StoreUnavailable, and is of no use any more."""

    def __init__(self, connection: Connection, wire: Wire) -> None:
        self._connection = connection
        self._wire = wire

    def connect(self) -> None:
        with self._wire.explained():
            self._connection.connect()

    def send(self, *commands: Command) -> None:
        with self._wire.explained():
            self._connection.send_packed_command(self._connection.pack_commands(commands))

    def ready(self, seconds: float) -> bool:
        """Wait until something has come, at most so long."""
        with self._wire.explained():
            return self._connection.can_read(seconds)

    def read(self) -> Any:
        """The next answer or message. One by which the server refuses is given as a ResponseError, not raised."""
        with self._wire.explained():
            try:
                return self._connection.read_response()
            except ResponseError as error:
                return error

    def attempt(self, *commands: Command) -> list[Any]:
        """The answers to commands sent in one go, ResponseError among them."""
        self.send(*commands)
        return [self.read() for _ in commands]

    def refused(self, error: ResponseError) -> StoreUnavailable:
        """What to raise for an answer that refuses."""
        return self._wire.unavailable(error)

    def refuse_none(self, answers: Sequence[object]) -> None:
        """Raise StoreUnavailable for the first answer that refuses."""
        for answer in answers:
            if isinstance(answer, ResponseError):
                raise self.refused(answer)

    def ask(self, *commands: Command) -> list[Any]:
        """The answers to commands sent in one go; raises StoreUnavailable where one is refused, all being read."""
        answers = self.attempt(*commands)
        self.refuse_none(answers)
        return answers

    def close(self) -> None:
        """Close; may be called from another thread, and ends its waiting."""
        self._connection.disconnect()


class Wire:
    """The server of a URL. Raises StoreUnavailable for a URL that cannot be used; does not connect yet."""

    def __init__(self, url: str) -> None:
        try:
            self._factory, self._options = _meant(url)
            self._factory(**self._options)  # does not connect: says whether the options fit
            self._pool = cast(Pool, ConnectionPool(cast(Any, self._factory), **self._options))
        except (ValkeyError, ValueError, TypeError) as error:
            remedy = "write it as valkey://USER:PASSWORD@HOST:PORT/DB, with % codes for / # @ : in a password"
            raise StoreUnavailable(f"the URL of the store cannot be used: {error}; {remedy}") from None
        self.db = int(self._options["db"])
        self.label = _label(url, self._options)

    @contextmanager
    def session(self) -> Generator[Channel]:
        """A connection for a moment, to this thread alone. It is not kept where the block raises."""
        with self.explained():
            connection = self._pool.get_connection("")
        try:
            yield Channel(connection, self)
        except BaseException:
            connection.disconnect()
            raise
        finally:
            self._pool.release(connection)

    def channel(self) -> Channel:
        """A connection to be kept, not connected yet."""
        return Channel(self._factory(**self._options), self)

    def forget(self) -> None:
        """Close connections that nobody uses: where one has ended, the others may be dead without knowing it."""
        self._pool.disconnect(inuse_connections=False)

    def close(self) -> None:
        self._pool.disconnect()

    @contextmanager
    def explained(self) -> Generator[None]:
        """Raise StoreUnavailable for what fails inside, where only the package is called."""
        try:
            yield
        except Exception as error:  # whatever it is: of a connection that another thread closes, an AttributeError
            raise self.unavailable(error) from None

    def unavailable(self, error: Exception) -> StoreUnavailable:
        """What to raise for a failure: which store, the server's reason without the password, the remedy."""
        reason = str(error).rstrip(".") or type(error).__name__
        if password := self._options.get("password"):
            reason = reason.replace(str(password), "***")
        remedy = next((text for kind, text in REMEDIES if isinstance(error, kind)), "start the server, or mend the URL")
        if "CERTIFICATE_VERIFY" in reason:
            remedy = "name the host as its certificate does, and in the URL the authority's: ?ssl_ca_certs=FILE"
        return StoreUnavailable(f"{self.label}: {reason}; {remedy}")


def _meant(url: str) -> tuple[Callable[..., Connection], dict[str, Any]]:
    """The kind of connection that a URL means, and its options. Raises ValueError, which never holds a password."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # it would cite the URL
        raise ValueError("it is not well formed") from None
    given = cast(dict[str, Any], parse_url(url))
    factory = cast(Callable[..., Connection], given.pop("connection_class", PlainConnection))
    if unknown := [name for name in given if name not in OPTIONS and not name.startswith("ssl_")]:
        raise ValueError(f"it has no option {unknown[0]}")
    path = parts.path.strip("/")
    if parts.scheme == "unix":
        if not path:
            raise ValueError("it names no socket")
    elif path and not path.isdecimal():
        raise ValueError("what follows the port must be the number of a database")  # the package takes it for 0
    else:
        given.setdefault("socket_keepalive", True)
    if parts.scheme in ("valkeys", "rediss") and given.get("ssl_cert_reqs") != "none":
        given.setdefault("ssl_check_hostname", True)  # the package would take any host that has a certificate
    return factory, {**DEFAULTS, **given, **FIXED}


def _label(url: str, options: Mapping[str, Any]) -> str:
    scheme = urlsplit(url).scheme
    if scheme == "unix":
        return f"unix://{options['path']}?db={options['db']}"
    host = str(options.get("host", "localhost"))
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{options.get('port', 6379)}/{options['db']}"
