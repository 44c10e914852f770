"""Where definitions stand in a Valkey server, and how they are read from there.

`fnkit:pipeline:<name>` is fnkit's JSON, as fnkit writes it itself; `legato:flow:<name>` is a native text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar, cast

from valkey.exceptions import NoPermissionError, ResponseError

from legato.model.problem import Problem
from legato.model.source import MAX_BYTES, Gone, Language, Source
from legato.stores.valkey_wire import Channel, Command

PREFIXES: dict[Language, bytes] = {"native": b"legato:flow:", "fnkit": b"fnkit:pipeline:"}
BOTH = b"[fl][ne][kg][ia]t*"  # what begins with `fnkit` or `legat`: both prefixes in one pass over the server's keys
SCANNED = 1000  # keys that the server looks at in one go: it serves nobody else meanwhile, for a third of a millisecond
BATCH = 500  # texts asked for in one go: their answers are held in memory together

SECTIONS = ("server", "replication", "stats", "memory", "commandstats")
# Commands that can take a string away; inside scripts and transactions they are counted all the same.
REMOVING = (
    b"del", b"unlink", b"delifeq", b"getdel", b"rename", b"renamenx", b"move", b"migrate", b"flushall", b"flushdb",
    b"swapdb", b"expire", b"pexpire", b"expireat", b"pexpireat", b"getex",
)  # fmt: skip

# The channel, with the database's number, where a deletion is announced: who goes on serving what the server has lost
# is told by nothing else that it was meant to go.
DELETED = b"legato:deleted@"

REMEDY = "delete the key, or store a text of a definition there"


Named = TypeVar("Named", Source, Gone)


@dataclass(frozen=True, slots=True)
class Standing:
    """What tells, of keys that are missing, why: whose data these are, and how many keys have gone, and in which way.

    `data` is other after a restart and after a change of the primary; "" where the server does not say it. `removed`
    counts the commands that take keys away, and the keys that expired. `evicts` says that the server may make room.
    """

    data: str = ""
    evicted: int = 0
    removed: int = 0
    evicts: bool = False


def key_of(language: Language, name: str) -> bytes:
    return PREFIXES[language] + name.encode()


def keys_of(name: str) -> list[bytes]:
    """Where definitions of this name may stand, one for each language."""
    return [key_of(language, name) for language in PREFIXES]


def is_ours(key: bytes) -> bool:
    return key.startswith(tuple(PREFIXES.values()))


def name_of(key: bytes) -> str:
    return key[len(PREFIXES[_language(key)]) :].decode("utf-8", "replace")


def origin_of(label: str, key: bytes) -> str:
    # Escapes keep origins apart where names, read as UTF-8, are the same.
    return f"{label} {key.decode('utf-8', 'backslashreplace')}"


def scan(channel: Channel) -> list[bytes]:
    """The keys of every definition, each once."""
    keys: set[bytes] = set()
    cursor = b"0"
    while True:
        [(cursor, found)] = channel.ask(("SCAN", cursor, "MATCH", BOTH, "COUNT", SCANNED))
        keys.update(key for key in cast(list[bytes], found) if is_ours(key))
        if cursor == b"0":
            return list(keys)


def fetch(channel: Channel, keys: Iterable[bytes], label: str) -> dict[bytes, Source | None]:
    """The definitions at these keys; None where there is none."""
    wanted = list(keys)
    sources: dict[bytes, Source | None] = {}
    for start in range(0, len(wanted), BATCH):
        batch = wanted[start : start + BATCH]
        answers = channel.attempt(*(("GETRANGE", key, 0, MAX_BYTES) for key in batch))
        # There may be nothing, or an empty text.
        doubtful = [key for key, answer in zip(batch, answers, strict=True) if answer == b""]
        exist: list[int] = channel.ask(*(cast(Command, ("EXISTS", key)) for key in doubtful)) if doubtful else []
        missing = {key for key, there in zip(doubtful, exist, strict=True) if not there}
        for key, answer in zip(batch, answers, strict=True):
            sources[key] = None if key in missing else _source(channel, key, answer, label)
    return sources


def standing(channel: Channel) -> Standing:
    """Where the server does not let us ask, it is not known."""
    lines: dict[bytes, bytes] = {}
    for answer in channel.attempt(*(("INFO", section) for section in SECTIONS)):
        if isinstance(answer, ResponseError):
            return Standing()
        lines.update(_pairs(answer))
    run, history = lines.get(b"run_id", b""), lines.get(b"master_replid", b"")
    expired = int(lines.get(b"expired_keys", b"0"))
    return Standing(
        data=f"{run.decode()} {history.decode()}" if run else "",
        evicted=int(lines.get(b"evicted_keys", b"0")),
        removed=expired + sum(_calls(lines.get(b"cmdstat_" + command, b"")) for command in REMOVING),
        evicts=lines.get(b"maxmemory", b"0") != b"0" and lines.get(b"maxmemory_policy") != b"noeviction",
    )


def _calls(statistics: bytes) -> int:
    """How often a command was called: `calls=3,usec=12,...`."""
    count = statistics.removeprefix(b"calls=").partition(b",")[0]
    return int(count) if count.isdigit() else 0


def _pairs(information: bytes) -> Iterable[tuple[bytes, bytes]]:
    for line in information.splitlines():
        field, colon, value = line.partition(b":")
        if colon:
            yield field, value


def _source(channel: Channel, key: bytes, answer: bytes | ResponseError, label: str) -> Source:
    origin = origin_of(label, key)
    trouble = _trouble(channel, key, answer)
    problem = None if trouble is None else Problem(file=origin, message=f"cannot be read: {trouble}", remedy=REMEDY)
    text = answer if isinstance(answer, bytes) and trouble is None else b""
    return Source(name=name_of(key), language=_language(key), text=text, origin=origin, trouble=problem)


def _trouble(channel: Channel, key: bytes, answer: bytes | ResponseError) -> str | None:
    """Why this is no text. What is wrong with more than this key raises StoreUnavailable."""
    if isinstance(answer, ResponseError):
        reason = str(answer)
        if reason.startswith("WRONGTYPE"):
            return "it is not a string"
        if isinstance(answer, NoPermissionError) and "key" in reason:
            return "the user may not read this key"
        raise channel.refused(answer)
    if len(answer) > MAX_BYTES:
        return f"it is larger than {MAX_BYTES // 1024} KiB"
    try:
        key.decode()
    except UnicodeDecodeError:
        return "its name is not UTF-8"
    return None


def _language(key: bytes) -> Language:
    return "fnkit" if key.startswith(PREFIXES["fnkit"]) else "native"


def by_name(ones: Iterable[Named]) -> list[Named]:
    return sorted(ones, key=lambda one: (one.name, one.origin))
