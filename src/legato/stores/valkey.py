"""Definitions in a Valkey or Redis server, fnkit's among them. Needs the extra `legato[valkey]`."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from legato.errors import Conflict, StoreUnavailable
from legato.model.source import Language, Revision, Source
from legato.ports import StoreListener

if TYPE_CHECKING:
    from legato.stores.valkey_tracking import Watcher
    from legato.stores.valkey_wire import Channel, Command

TRIES = 50  # lost races against writers who leave what was expected


class ValkeyStore:
    """The definitions in the server of `url`: `valkey://[USER:PASSWORD@]HOST[:PORT][/DB]`.

    `redis://` is the same; `valkeys://` and `rediss://` go over TLS (`?ssl_ca_certs=FILE&ssl_cert_reqs=...`),
    `unix:///PATH?db=N` over a socket. Raises StoreUnavailable for another URL, and where the extra is not installed.

    - What is written is stored as well as the server stores anything: how often it saves is its own affair.
    - Both languages at one name: `expected` is good if it is the digest of either; a write leaves one of them.
    - Of a key that goes while we are told of changes, only the server can say that it was evicted: where its
      `notify-keyspace-events` has `Ee` or `Ke`, we hear it; else it counts as deleted. Keys that went unseen, while
      we were cut off, were lost if the server is not as it was, and evicted if it has evicted at least so many.
    - The server's settings are never changed. `SWAPDB` is told by no server: it is seen at the next reconnection.
    """

    def __init__(self, url: str) -> None:
        try:
            from legato.stores import valkey_texts, valkey_tracking, valkey_wire
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] != "valkey":
                raise
            raise StoreUnavailable("a store in Valkey needs the package valkey: install legato[valkey]") from None
        self._wire = valkey_wire.Wire(url)
        self._texts = valkey_texts
        self._watcher_of = valkey_tracking.Watcher
        self._watcher: Watcher | None = None
        self._lock = threading.Lock()
        self._known: dict[bytes, str] = {}
        self._standing = valkey_texts.Standing()
        self._unread = False  # whether the last `load` failed

    @property
    def label(self) -> str:
        """The URL without user, password and options."""
        return self._wire.label

    @property
    def mode(self) -> Literal["tracking", "keyspace", "polling", ""]:
        """How changes are followed now: as the server tells them, or by looking every few seconds; "" not at all."""
        watcher = self._watcher
        return "" if watcher is None else watcher.mode

    @property
    def refusal(self) -> str:
        """Why they are not followed as the server tells them (`mode`), in the server's words; "" where they are."""
        watcher = self._watcher
        return "" if watcher is None else watcher.refusal

    def load(self) -> list[Source]:
        """Every definition there is now, sorted by name and origin."""
        self._unread = True
        with self._wire.session() as channel:
            standing = self._texts.standing(channel)
            there = self._texts.fetch(channel, self._texts.scan(channel), self.label)
        with self._lock:
            if self._watcher is None:  # else it knows better what its listener has been told
                self._known = {key: source.digest for key, source in there.items() if source is not None}
                self._standing = standing
        self._unread = False
        return self._texts.by_name(source for source in there.values() if source is not None)

    def put(self, name: str, language: Language, text: bytes, version: str, expected: str | None = None) -> Source:
        """As the port says. `version` is not kept."""
        key = self._texts.key_of(language, name)
        others = [other for other in self._texts.keys_of(name) if other != key]
        self._change(name, expected, ("SET", key, text), ("DEL", *others))
        return Source(name=name, language=language, text=text, origin=self._texts.origin_of(self.label, key))

    def delete(self, name: str, expected: str | None = None) -> bool:
        """As the port says."""
        keys = self._texts.keys_of(name)
        [count] = self._change(name, expected, ("DEL", *keys))
        # Who may not publish, or loses the connection just now, has deleted all the same.
        with suppress(StoreUnavailable), self._wire.session() as channel:
            channel.attempt(*(("PUBLISH", b"%b%d" % (self._texts.DELETED, self._wire.db), key) for key in keys))
        return bool(count)

    def revisions(self, name: str) -> list[Revision]:
        """None: a key holds one text."""
        return []

    def watch(self, listener: StoreListener) -> None:
        """Start telling changes; raises RuntimeError where somebody is told already."""
        with self._lock:
            if self._watcher is not None:
                raise RuntimeError("the store is being watched")
            self._watcher = self._watcher_of(self._wire, listener, self._known, self._standing, self._unread)
            self._watcher.start()

    def close(self) -> None:
        """Stop watching within a second, and close the connections."""
        with self._lock:
            watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.close()
        self._wire.close()

    def _change(self, name: str, expected: str | None, *commands: Command) -> list[int]:
        """Carry out all of the commands or none, if what is there is what was expected. Raises Conflict if not."""
        for _ in range(TRIES):
            with self._wire.session() as channel:
                if expected is not None:
                    channel.ask(("WATCH", *self._texts.keys_of(name)))
                    self._compare(channel, name, expected)
                channel.ask(("MULTI",))  # by itself: if it is refused, nothing may be done
                *queued, done = channel.attempt(*commands, ("EXEC",))
                channel.refuse_none([*queued, done])
                if done is not None:
                    channel.refuse_none(done)
                    return done
        raise Conflict(f"{self.label}: {name} is being changed all the time; try again")

    def _compare(self, channel: Channel, name: str, expected: str) -> None:
        there = self._texts.fetch(channel, self._texts.keys_of(name), self.label)
        found = [source for source in there.values() if source is not None]
        if not found and expected:
            raise Conflict(f"{self.label}: {name} is not there any more; look what has become of it, and repeat")
        if found and not expected:
            raise Conflict(f"{found[0].origin}: it is there already; read it, and say that you replace it")
        if found and expected not in [source.digest for source in found]:
            raise Conflict(f"{found[0].origin}: it was changed meanwhile; read it again and repeat")
