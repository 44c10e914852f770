"""The disk that durable contenders write to: it must be a real one, and how often it was told to flush is counted.

A folder in memory would make every commit free, and a contender that does not flush would look fast.
"""

import os
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

IN_MEMORY = {"tmpfs", "ramfs"}
FLUSHES = 15  # the field of /sys/block/*/stat that counts completed flushes; kernels before 5.5 have none
PROBES = 50
BLOCK = b"\0" * 4096


class NoDisk(Exception):
    """No folder on a real disk was found; the text says what to do."""


@dataclass(frozen=True)
class Disk:
    folder: Path
    kind: str  # of file system
    sync_micros: float  # a write of 4 KiB and fdatasync, median

    def flushes(self) -> int | None:
        """How often the device was flushed since it is there, by anybody; None where that cannot be told."""
        device = os.stat(self.folder).st_dev
        at = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
        if (at / "partition").exists():  # flushes are those of the whole disk
            at = at.parent
        try:
            cached = (at / "queue/write_cache").read_text().strip() == "write back"  # else it has nothing to flush
            fields = (at / "stat").read_text().split()
        except OSError:  # not a block device of its own
            return None
        return int(fields[FLUSHES]) if cached and len(fields) > FLUSHES else None


@contextmanager
def real_disk(near: Path) -> Generator[Disk, None, None]:
    """A fresh folder on a real disk, `near` if that is on one; other users may pass through it. Raises NoDisk."""
    for parent in (near, Path("/var/tmp"), Path.home()):
        kind = _kind(parent)
        if kind not in IN_MEMORY and os.access(parent, os.W_OK):
            with tempfile.TemporaryDirectory(prefix="legato-bench-", dir=parent) as name:
                folder = Path(name)
                _pass_through(folder)
                yield Disk(folder, kind, _sync_micros(folder))
            return
    raise NoDisk("no folder on a real disk: set TMPDIR to one")


def _pass_through(folder: Path) -> None:
    """Postgres runs as another user when this is root: it must reach its folder below."""
    owned = [at for at in (folder, *folder.parents) if at.stat().st_uid == os.getuid() and "legato-bench-" in at.name]
    for at in owned:
        at.chmod(at.stat().st_mode | 0o111)


def _kind(folder: Path) -> str:
    """The type of the file system below a folder, as the mount nearest to it says."""
    place, best, kind = os.path.realpath(folder), "", "unknown"
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mount, found, *_ = line.split()
        inside = place == mount or place.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, found
    return kind


def _sync_micros(folder: Path) -> float:
    taken: list[float] = []
    with (folder / "probe").open("wb", buffering=0) as probe:
        for _ in range(PROBES):
            start = time.perf_counter()
            probe.write(BLOCK)
            os.fdatasync(probe.fileno())
            taken.append(time.perf_counter() - start)
    (folder / "probe").unlink()
    return median(taken) * 1e6
