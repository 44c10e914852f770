"""Addresses in settings: where to listen, and how a function is reached.

Only their form is checked: nothing is resolved or opened in here.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

NAME_PLACE = "{name}"
CACHE_SCHEMES = ("valkey://", "valkeys://", "redis://", "rediss://", "unix://")

_MODULE = r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*"
_KEY_PART = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
DATA = re.compile(
    rf"files:.+|s3://[a-z0-9][a-z0-9.-]{{1,61}}[a-z0-9](?:/{_KEY_PART})*/?|(?!files:|s3:){_MODULE}:{_MODULE}"
)

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9_-])?\.?", re.ASCII)
_NUMERIC = re.compile(r"[0-9.]+", re.ASCII)
_NOT_IN_URL = re.compile(r"[^\x21-\x7e]|[\"<>\\^`{|}]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_MAX_SOCKET_PATH = 107  # bytes, by Linux's sockaddr_un

Trouble = tuple[str, str]  # what is wrong, and the remedy
_FINE: Trouble = ("", "")


def default_url_trouble(url: str) -> Trouble:
    """What is wrong with the URL that stands for functions without an entry."""
    if NAME_PLACE not in url:
        return "does not say where the function's name goes", "write {name} in it: http://{name}:8080"
    return url_trouble(url.replace(NAME_PLACE, "name"))


def url_trouble(url: str) -> Trouble:
    """What is wrong with a function's URL."""
    if match := _NOT_IN_URL.search(url):
        return f"holds the character {match[0]!a}", "percent-encode it, a host name by punycode"
    if _BAD_ESCAPE.search(url):
        return "holds a % that encodes nothing", "write %25 for a percent sign"
    if "?" in url or "#" in url:
        return "holds a query or a fragment", "end it before the ? or #"
    try:
        parts = urlsplit(url)
        port = parts.port if parts.scheme in ("http", "https") else None
    except ValueError:
        return "is not a URL", "write it as http://host:port/path"
    if "@" in parts.netloc:
        return "holds credentials", "leave out what stands before the @"
    if parts.scheme == "http+unix":
        return _socket_trouble(parts.netloc)
    if parts.scheme not in ("http", "https"):
        return "is not of a kind that can be called", "begin it with http://, https:// or http+unix://"
    if port == 0 or parts.netloc.endswith(":"):
        return "has no usable port", "write a port from 1 to 65535, or none"
    return _url_host_trouble(parts)


def _url_host_trouble(parts: SplitResult) -> Trouble:
    host = parts.netloc if parts.port is None else parts.netloc.rpartition(":")[0]
    if host.startswith("["):
        return _FINE if host.endswith("]") and _is_v6(host[1:-1]) else ("has no valid host", "write [::1]")
    if not host:
        return "has no host", "write it as http://host:port/path"
    return _FINE if _is_host(host) else ("has no valid host", "write a host name or an address")


def _socket_trouble(netloc: str) -> Trouble:
    path = unquote_to_bytes(netloc)
    if not path.startswith(b"/") or len(path) < 2 or b"\0" in path:
        return "names no socket", "write the socket's whole path, percent-encoded: http+unix://%2Frun%2Fx.sock/path"
    if len(path) > _MAX_SOCKET_PATH:
        return f"names a socket by more than {_MAX_SOCKET_PATH} bytes", "use a shorter path"
    return _FINE


def store_trouble(store: str, of_cache: bool = False) -> Trouble | None:
    """What is wrong with where definitions are to be kept; None where nothing is.

    A cache is a server; a store may be a file or the folder of flows, too.
    """
    if store == "files" or store.startswith("sqlite:"):
        if of_cache:
            return "is not the URL of a Valkey or Redis server", "write redis://host:6379"
        return None if store.removeprefix("sqlite:") else ("names no file", "write sqlite:legato.db")
    if not store.startswith(CACHE_SCHEMES):
        examples = "redis://host:6379" if of_cache else "sqlite:legato.db, valkey://host:6379 or files"
        return "is not a place for definitions", f"write {examples}"
    try:
        parts = urlsplit(store)
        known = parts.path if parts.scheme == "unix" else parts.hostname
        _ = parts.port
    except ValueError:
        known = ""
    return None if known else ("names no server", "write valkey://host:6379")


def data_trouble(data: str) -> Trouble | None:
    """What is wrong with where large data is to be kept; None where nothing is."""
    if "@" in data and data.startswith("s3:"):
        return "holds credentials", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and write s3://BUCKET/PREFIX"
    if DATA.fullmatch(data):
        return None
    return "is no place for data", "write files:legato-data, s3://BUCKET/PREFIX or module:Class"


def listen_trouble(listen: str) -> Trouble:
    """What is wrong with an address to listen on: host:port, [v6]:port or unix:/path."""
    example = "write it as 127.0.0.1:8080, [::1]:8080 or unix:/run/legato.sock"
    if listen.startswith("unix:"):
        path = listen.removeprefix("unix:")
        fits = path.startswith("/") and len(path) > 1 and "\0" not in path
        return _FINE if fits and len(path.encode()) <= _MAX_SOCKET_PATH else ("names no socket", example)
    host, colon, port = listen.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        return "has no port from 0 to 65535", example
    if not host:
        return "has no host", "write 0.0.0.0:8080 for every interface, 127.0.0.1:8080 for this machine alone"
    if host.startswith("["):
        return _FINE if host.endswith("]") and _is_v6(host[1:-1]) else ("has no valid host", example)
    if ":" in host:
        return "has an address without brackets", "write it as [::1]:8080"
    return _FINE if _is_host(host) else ("has no valid host", example)


def _is_host(host: str) -> bool:
    if _NUMERIC.fullmatch(host):
        return _parses(ipaddress.IPv4Address, host)
    return _HOST.fullmatch(host) is not None and ".." not in host and len(host) <= 253


def _is_v6(host: str) -> bool:
    return _parses(ipaddress.IPv6Address, host)


def _parses(kind: type[ipaddress.IPv4Address | ipaddress.IPv6Address], host: str) -> bool:
    try:
        kind(host)
    except ValueError:
        return False
    return True
