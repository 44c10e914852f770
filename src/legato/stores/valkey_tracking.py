"""Following the changes of definitions in a Valkey server, without asking for them. Needs the `valkey` package.

One connection has its invalidations sent to itself (`CLIENT TRACKING ... REDIRECT`, RESP2), so that following and
being connected are the same: there is no second connection that could end unseen. A changed key is then fetched.
"""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Literal, cast

from valkey.exceptions import ResponseError

from legato.errors import StoreUnavailable
from legato.model.source import Gone, Source
from legato.ports import StoreListener
from legato.stores.valkey_texts import (
    DELETED,
    PREFIXES,
    Standing,
    by_name,
    fetch,
    is_ours,
    name_of,
    origin_of,
    scan,
    standing,
)
from legato.stores.valkey_wire import Channel, Command, Wire

Mode = Literal["tracking", "keyspace", "polling", ""]
How = Literal["deleted", "evicted", "lost"]
Occasion = Literal["connected", "flushed", "due"]

PING_EVERY = 5.0  # a connection may be cut without either end being told
PONG_WITHIN = 5.0
SOONEST, LATEST = 0.05, 2.0  # between attempts to connect
BURST = 1000  # messages taken together: more of them must not keep those from being told
# Between comparisons of everything, where the server does not tell changes, or not all of them (FLUSHALL).
COMPARE_EVERY: dict[Mode, float] = {"tracking": float("inf"), "keyspace": 60.0, "polling": 5.0}

INVALIDATE = b"__redis__:invalidate"
KEYSPACE = b"__keyspace@"
CLOSING = 1.0  # seconds that `close` waits for the thread


@dataclass(slots=True)
class News:
    """What one burst of messages says."""

    touched: set[bytes] = field(default_factory=set[bytes])
    evicted: set[bytes] = field(default_factory=set[bytes])
    deleted: set[bytes] = field(default_factory=set[bytes])
    flushed: bool = False

    def note(self, message: object) -> None:
        """Add a message of a subscription; what else comes (a PING's answer) says nothing."""
        match cast(list[Any], message) if isinstance(message, list) else []:
            case [b"message", b"__redis__:invalidate", keys]:
                self.flushed = self.flushed or keys is None
                self.touched.update(keys or ())
            case [b"message", channel, key] if channel.startswith(DELETED):
                self._event(key, b"del")
                self.deleted.add(key)
            case [b"message", _, key]:
                self._event(key, b"evicted")
            case [b"pmessage", _, channel, event]:
                self._event(channel.partition(b"__:")[2], event)
            case _:
                pass

    def _event(self, key: bytes, event: bytes) -> None:
        if is_ours(key):
            self.touched.add(key)
            if event == b"evicted":
                self.evicted.add(key)


class Watcher:
    """Tells `listener` what differs from `known` (digests by key, as `before` the server stood), for ever."""

    def __init__(
        self, wire: Wire, listener: StoreListener, known: Mapping[bytes, str], before: Standing, is_down: bool
    ) -> None:
        self.mode: Mode = ""
        self.refusal = ""
        self._wire = wire
        self._listener = listener
        self._known = dict(known)
        self._remembered = set[bytes]()  # keys that went without having been deleted
        self._before: Standing = before
        self._earlier: Standing = before
        self._down = is_down
        self._failures = 0
        self._channel: Channel | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="legato-valkey", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Tell nothing more, and end the thread; one that is just connecting ends when it has."""
        self._stop.set()
        until = monotonic() + CLOSING
        while self._thread is not threading.current_thread() and self._thread.is_alive() and monotonic() < until:
            # Again and again: the thread may have begun to wait on another connection meanwhile.
            if self._channel is not None:
                self._channel.close()
            self._wire.close()
            self._thread.join(0.05)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
            except StoreUnavailable as error:
                self._fallen(str(error))
            except Exception as error:  # an answer that no server should give must not end the watch
                self._fallen(f"{self._wire.label}: {error!r}; see whether the URL names a Valkey server")
            delay = min(LATEST, SOONEST * 2**self._failures) * random.uniform(0.5, 1.0)
            self._failures = min(self._failures + 1, 10)
            self._stop.wait(delay)

    def _follow(self) -> None:
        """Connect, get in step, and tell changes until the connection ends."""
        self._channel = channel = self._wire.channel()
        try:
            channel.connect()
            mode = self._subscribe(channel)
            self._compare("connected")  # after the subscription: what changes meanwhile is told by a message
            self.mode = mode
            self._failures = 0
            if self._down:
                self._down = False
                self._tell(self._listener.up)
            self._listen(channel, COMPARE_EVERY[mode])
        finally:
            self.mode = ""
            channel.close()

    def _fallen(self, why: str) -> None:
        self._wire.forget()
        if not self._down:
            self._down = True
            self._tell(self._listener.down, why)

    # What the server is asked to tell.

    def _subscribe(self, channel: Channel) -> Mode:
        refusal = _track(channel)
        self.refusal = "" if refusal is None else str(refusal)
        notifies = refusal is not None and _notifies(channel)
        db = self._wire.db
        heard = [_subscribe(channel, "PSUBSCRIBE", b"%b%d__:%b*" % (KEYSPACE, db, p)) for p in PREFIXES.values()]
        _subscribe(channel, "SUBSCRIBE", b"__keyevent@%d__:evicted" % db)
        _subscribe(channel, "SUBSCRIBE", b"%b%d" % (DELETED, db))
        if refusal is None:
            return "tracking"
        return "keyspace" if notifies and all(heard) else "polling"

    def _listen(self, channel: Channel, compare_every: float) -> None:
        compare_at = monotonic() + compare_every
        ask_at, asked = monotonic() + PING_EVERY, False
        while not self._stop.is_set():
            if channel.ready(max(0.0, min(ask_at, compare_at) - monotonic())):
                self._take(channel)
                ask_at, asked = monotonic() + PING_EVERY, False
            now = monotonic()
            if now >= ask_at and asked:
                raise StoreUnavailable(f"{self._wire.label}: no answer within {PONG_WITHIN:g} s; see whether it hangs")
            if now >= ask_at:
                channel.send(("PING",))
                ask_at, asked = now + PONG_WITHIN, True
                if self._before.evicts:  # the shorter ago it was looked, the surer can be told why a key is missing
                    with self._wire.session() as session:
                        # The earlier look counts, too: an eviction may have been in this one already, untold.
                        self._earlier, self._before = self._before, standing(session)
            if now >= compare_at:
                self._compare("due")
                compare_at = monotonic() + compare_every

    # What has changed.

    def _take(self, channel: Channel) -> None:
        """Read what has come, and tell what has changed by it."""
        news = News()
        for _ in range(BURST):
            news.note(channel.read())
            if not channel.ready(0):
                break
        if news.flushed:
            self._compare("flushed")
        elif news.touched:
            with self._wire.session() as session:
                there = fetch(session, news.touched, self._wire.label)
                unexplained = sum(there[key] is None for key in self._known.keys() & there.keys() - news.evicted)
                how = self._look_again(session, unexplained) if unexplained else "deleted"
            self._changed(there, lambda key: "evicted" if key in news.evicted else how, news.deleted)

    def _look_again(self, session: Channel, missing: int) -> How:
        """Why keys are missing that no event explains: evicted, if the server evicted and nobody took anything away."""
        now = standing(session)
        evicted = any(
            now.removed == before.removed and now.evicted - before.evicted >= missing
            for before in (self._before, self._earlier)
        )
        self._earlier = self._before = now
        return "evicted" if evicted else "deleted"

    def _compare(self, occasion: Occasion) -> None:
        """Read everything, and tell what differs from what was known."""
        with self._wire.session() as session:
            now = standing(session)
            there = fetch(session, scan(session), self._wire.label)
            # A scan may pass by a key that is deleted and set again meanwhile.
            there |= fetch(session, self._known.keys() - there.keys(), self._wire.label)
        missing = sum(there[key] is None for key in self._known)
        how = _how(occasion, missing, self._before, now)
        self._earlier = self._before = now
        self._changed(there, lambda _: how)

    def _changed(
        self, there: Mapping[bytes, Source | None], how: Callable[[bytes], How], deleted: Collection[bytes] = ()
    ) -> None:
        """Tell what differs from what was known; of `deleted` keys also if they had gone before, in another way."""
        found: list[Source] = []
        gone: list[Gone] = []
        for key, source in there.items():
            if source is None:
                known = self._known.pop(key, None) is not None
                if known or (key in deleted and key in self._remembered):
                    why: How = "deleted" if key in deleted else how(key)
                    gone.append(Gone(name=name_of(key), origin=origin_of(self._wire.label, key), how=why))
                    (self._remembered.discard if why == "deleted" else self._remembered.add)(key)
            elif self._known.get(key) != source.digest:
                self._known[key] = source.digest
                self._remembered.discard(key)
                found.append(source)
        if found or gone:
            self._tell(self._listener.changed, by_name(found), by_name(gone))

    def _tell(self, call: Callable[..., None], *arguments: Any) -> None:
        # What goes wrong there is the listener's to tell; the next change must be told all the same.
        with contextlib.suppress(Exception):
            if not self._stop.is_set():
                call(*arguments)


def _track(channel: Channel) -> ResponseError | None:
    """Have invalidations sent to this connection; or why the server does not."""
    [identity] = channel.attempt(("CLIENT", "ID"))
    if isinstance(identity, ResponseError):
        return identity
    prefixes: Iterable[str | bytes] = (word for prefix in PREFIXES.values() for word in ("PREFIX", prefix))
    track: Command = ("CLIENT", "TRACKING", "ON", "REDIRECT", identity, "BCAST", *prefixes)
    [answer] = channel.attempt(track)
    if not isinstance(answer, ResponseError):
        [answer] = channel.attempt(("SUBSCRIBE", INVALIDATE))
    return answer if isinstance(answer, ResponseError) else None


def _notifies(channel: Channel) -> bool:
    """Whether the server is set to publish what happens to keys: all that sets, deletes or renames strings."""
    [answer] = channel.attempt(("CONFIG", "GET", "notify-keyspace-events"))
    match answer:
        case [_, bytes(flags)]:
            return b"K" in flags and (b"A" in flags or (b"g" in flags and b"$" in flags))
        case _:
            return False


def _subscribe(channel: Channel, command: str, name: bytes) -> bool:
    [answer] = channel.attempt((command, name))
    return not isinstance(answer, ResponseError)


def _how(occasion: Occasion, missing: int, before: Standing, now: Standing) -> How:
    """Why keys are missing, all of them alike.

    Where the server does not say whose data it has, it may have been started anew since we were connected.
    """
    if now.data != before.data or (occasion == "connected" and not now.data):
        return "lost"
    if occasion != "flushed" and now.evicted - before.evicted >= missing:
        return "evicted"
    return "deleted"
