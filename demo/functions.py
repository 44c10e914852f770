"""The sample functions. Each is an HTTP server in its own process: `python -m demo.functions NAME [PORT]`.

Prints the port it listens on, then a line of JSON for each call. With a PORT, it listens on every interface until it is
told to stop; without one, on loopback, and ends with its standard input, so that none outlives the demo.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Order = dict[str, Any]
Said = tuple[int, object]  # status, body

DECLINED = 402  # the order whose card is declined
BUSY = 503  # the order whose e-mail cannot be sent at the first try

_tried: set[str] = set()


def validate_order(order: Order, key: str) -> Said:
    if "orderId" not in order:
        return 422, {"error": "orderId is missing"}
    return 200, {**order, "total": 120}


def release_order(undone: Order, key: str) -> Said:
    return 200, {"released": undone["result"]["orderId"]}


def charge_payment(order: Order, key: str) -> Said:
    if order["orderId"] == DECLINED:
        return 402, {"error": "the card was declined"}
    return 200, {**order, "payment": f"p-{order['orderId']}"}


def send_email(order: Order, key: str) -> Said:
    if order["orderId"] == BUSY and key not in _tried:
        _tried.add(key)
        return 503, {"error": "come again"}
    return 200, {**order, "email": "sent"}


def get_profile(user: Order, key: str) -> Said:
    return 200, {"name": "Alice", "email": "alice@example.com"}


def get_preferences(user: Order, key: str) -> Said:
    return 200, {"theme": "dark", "lang": "en"}


def get_history(user: Order, key: str) -> Said:
    return 200, [{"action": "login", "ts": "2025-01-01"}]


# name: (what it does, how many seconds it takes about it)
FUNCTIONS: dict[str, tuple[Callable[[Order, str], Said], float]] = {
    "validate-order": (validate_order, 0.03),
    "release-order": (release_order, 0.02),
    "charge-payment": (charge_payment, 0.06),
    "send-email": (send_email, 0.04),
    "get-profile": (get_profile, 0.30),
    "get-preferences": (get_preferences, 0.20),
    "get-history": (get_history, 0.25),
}


class Handler(BaseHTTPRequestHandler):
    """Answers calls of the function that this process is."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave in one packet
    function = ""

    def do_POST(self) -> None:
        began = time.monotonic()
        act, seconds = FUNCTIONS[self.function]
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        key = self.headers.get("idempotency-key") or ""
        time.sleep(seconds)
        try:
            status, said = act(json.loads(body), key)
        except (ValueError, KeyError, TypeError) as error:
            status, said = 400, {"error": f"{type(error).__name__}: {error}"}
        answer = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        seen = {"function": self.function, "key": key, "began": began, "ended": time.monotonic(), "status": status}
        print(json.dumps(seen), flush=True)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class' name
        """The line above says it all."""


def main(name: str, port: str = "") -> None:
    Handler.function = name
    server = ThreadingHTTPServer(("0.0.0.0", int(port)) if port else ("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=not port).start()
    print(server.server_address[1], flush=True)
    if not port:
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
