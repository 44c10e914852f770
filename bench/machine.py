"""The machine the benchmark needs: Linux, its tools, two cores, enough file descriptors."""

import os
import resource
import shutil
import sys
from dataclasses import asdict, dataclass
from typing import Any

TOOLS = {"wrk": "wrk", "nginx": "nginx-light"}
DESCRIPTORS = 65_536


class Unfit(Exception):
    """Something needed is missing; the text says what to do."""


@dataclass(frozen=True)
class Machine:
    wrk: str
    nginx: str
    load_core: int
    gateway_core: int
    descriptors: int

    def described(self) -> dict[str, Any]:
        return {**asdict(self), "python": sys.version.split()[0], "kernel": os.uname().release, "load": os.getloadavg()}


def prepare() -> Machine:
    """Find the tools, choose the cores, move this process to the load's core, raise the descriptor limit."""
    if not sys.platform.startswith("linux"):
        raise Unfit("the benchmark reads /proc and pins cores: it runs on Linux only")
    search = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    found = {tool: shutil.which(tool, path=search) for tool in TOOLS}
    missing = [tool for tool, path in found.items() if path is None]
    if missing:
        packages = " ".join(TOOLS[tool] for tool in missing)
        raise Unfit(f"{' and '.join(missing)} not found; on Debian: apt-get install {packages}")
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[0]})
    return Machine(str(found["wrk"]), str(found["nginx"]), cores[0], cores[-1], _raise_descriptors())


def _raise_descriptors() -> int:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else max(DESCRIPTORS, hard)
    for soft, limit in ((wanted, wanted), (min(wanted, hard), hard)):  # raising the hard limit is for root only
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, limit))
            break
        except (ValueError, OSError):
            continue
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
