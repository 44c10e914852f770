"""The sockets that a gateway listens on, taken before it says that it serves."""

from __future__ import annotations

import errno
import os
import socket
import stat

from legato.app import listen_address

BACKLOG = 4096


def listen_on(listen: str) -> list[socket.socket]:
    """Sockets that listen at an address: several for a name that has several addresses. Raises OSError."""
    kind, host, port = listen_address(listen)
    if kind == "unix":
        return [_listen_unix(host)]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    trouble = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            try:
                sockets.append(_listen_tcp(family, address))
            except OSError as error:
                # `localhost` is ::1 as well where IPv6 is switched off.
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                trouble = error
        if not sockets:
            raise trouble
    except OSError:
        for each in sockets:
            each.close()
        raise
    return sockets


def _listen_tcp(family: int, address: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _listen_unix(path: str) -> socket.socket:
    """A socket that everybody on this machine may call, unless one that was there says otherwise."""
    mode = 0o666
    if os.path.exists(path) and stat.S_ISSOCK(os.stat(path).st_mode):
        mode = stat.S_IMODE(os.stat(path).st_mode)
        os.unlink(path)  # of a gateway that was killed; one that lives would not be found any more
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(path)
        os.chmod(path, mode)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening
