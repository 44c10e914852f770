"""Large data in S3, or in what speaks as S3 does. Needs the extra `legato[s3]`. See ports.DataStore.

Credentials, region and endpoint come from the environment, by the names that every tool of AWS reads.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from legato.errors import NoSuchData, StoreUnavailable
from legato.model.data_keys import checked_folder, checked_key, key_problem

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config

CONNECT_SECONDS = 5
SECONDS = 60  # for one request and its answer
RETRIES = 3
RETRY_SECONDS = 20  # after which nothing is tried again
SINGLE = 64 * 1024 * 1024  # bytes that go in one request; more in parts, which S3 joins when all are there
PART = 16 * 1024 * 1024
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")  # in the order that obstore has

_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*?))?/?", re.ASCII)
_CODE = re.compile(r"<Code>(\w+)</Code>(?:\s*<Message>([^<]*)</Message>)?")
_TRIES = re.compile(r" in [0-9.]+\S+, after [0-9]+ retries, max_retries: .*? +-")
_LONGEST = 300  # characters of a reason

_RIGHTS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a user who may read, write, list and delete there"
_REMEDIES = {
    "AccessDenied": _RIGHTS,
    "ExpiredToken": _RIGHTS,
    "InvalidAccessKeyId": _RIGHTS,
    "InvalidToken": _RIGHTS,
    "SignatureDoesNotMatch": _RIGHTS,
    "NoSuchBucket": "make the bucket, or mend its name",
    "PermanentRedirect": "set AWS_REGION to the bucket's region",
    "AuthorizationHeaderMalformed": "set AWS_REGION to the bucket's region",
    "RequestTimeTooSkewed": "set this machine's clock",
}
_DENIED = ("PermissionDeniedError", "UnauthenticatedError")


class S3Data:
    """Data in `s3://BUCKET[/PREFIX]`. Nothing is asked of the server yet.

    Raises StoreUnavailable for another URL, and where the extra is not installed. An endpoint of the environment that
    begins with `http://` is used without TLS.
    """

    def __init__(self, url: str) -> None:
        self.label = url
        match = _URL.fullmatch(url)
        if match is None:
            raise StoreUnavailable(f"{url!a:.200} is no place in S3: write s3://BUCKET/PREFIX")
        prefix = match[2] or ""
        try:
            checked_folder(prefix)
        except ValueError as error:
            raise StoreUnavailable(f"{url}: the prefix {error}") from None
        try:
            import obstore
            from obstore import store
            from obstore.exceptions import BaseError
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] != "obstore":
                raise
            raise StoreUnavailable(f"{url}: S3 needs the package obstore: pip install 'legato[s3]'") from None
        self._library = obstore
        self._failure = BaseError
        endpoint = next((os.environ[name] for name in ENDPOINTS if os.environ.get(name)), "")
        client: ClientConfig = {
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            "timeout": timedelta(seconds=SECONDS),
            "allow_http": endpoint.startswith("http://"),
        }
        retry: RetryConfig = {"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECONDS)}
        config: S3Config = {"disable_bulk_delete": True}  # not all who speak S3 have it, and we delete one by one
        if endpoint:
            config["endpoint"] = endpoint
        with self._explained():
            self._store = store.S3Store(
                match[1],
                prefix=prefix or None,
                config=config,
                client_options=client,
                retry_config=retry,
            )

    def put(self, key: str, data: bytes) -> None:
        """See ports.DataStore. What a killed process has half sent is invisible; a rule of the bucket can drop it."""
        checked_key(key)
        with self._explained():
            self._library.put(self._store, key, data, use_multipart=len(data) > SINGLE, chunk_size=PART)

    def get(self, key: str) -> bytes:
        """See ports.DataStore."""
        checked_key(key)
        with self._explained(key):
            return self._library.get(self._store, key).bytes().to_bytes()

    def delete(self, key: str) -> None:
        """See ports.DataStore."""
        checked_key(key)
        try:
            with self._explained(key):
                self._library.delete(self._store, key)
        except NoSuchData:
            pass

    def keys(self, folder: str) -> Iterator[str]:
        """See ports.DataStore."""
        checked_folder(folder)
        with self._explained():
            batches = self._library.list(self._store, prefix=folder or None)  # pyright: ignore[reportUnknownMemberType]
        while True:
            with self._explained():
                batch = next(batches, None)
            if batch is None:
                return
            yield from (entry["path"] for entry in batch if not key_problem(entry["path"]))

    @contextmanager
    def _explained(self, key: str = "") -> Generator[None]:
        """Raise NoSuchData for `key`, and StoreUnavailable for all else that fails inside."""
        try:
            yield
        except FileNotFoundError as error:
            code, reason = _reason(error)
            if key and code != "NoSuchBucket":
                raise NoSuchData(f"{self.label}: there is no {key}") from None
            raise self._unavailable(code, reason, error) from None
        except (self._failure, OSError, ValueError) as error:
            raise self._unavailable(*_reason(error), error) from None

    def _unavailable(self, code: str, reason: str, error: Exception) -> StoreUnavailable:
        denied = type(error).__name__ in _DENIED or "credential" in reason
        endpoints = f"see whether it can be reached; {ENDPOINTS[1]} names another server than AWS"
        remedy = _REMEDIES.get(code) or (_RIGHTS if denied else endpoints)
        return StoreUnavailable(f"{self.label}: {reason}; {remedy}")


def _reason(error: Exception) -> tuple[str, str]:
    """S3's code for an error, and the reason in one line: what the library says is a page."""
    text = str(error)
    if match := _CODE.search(text):
        return match[1], f"{match[1]}: {match[2]}".rstrip(": .") if match[2] else match[1]
    line = _TRIES.sub(":", text.partition("\n")[0]).removeprefix("Generic S3 error: ")
    return "", line[:_LONGEST].rstrip(" .,:;-") or type(error).__name__
