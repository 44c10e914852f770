"""Asks by mail, with a link that only we can have made; the page behind it sends the answer to the run that waits."""

from __future__ import annotations

import hmac
import html
import json
import os
import time
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, urlencode

Message = dict[str, Any]
Page = tuple[int, bytes, str]

APPROVER = "boss@shop.example"
PAGE = os.environ.get("APPROVAL_PAGE", "http://127.0.0.1:9000/decide")
SIGNAL = "approval"
VALID = 3 * 86_400  # seconds; as long as the flow waits
_MAILS: list[Message] = []


def ask_approver(asked: Message) -> Message:
    """Mail the link; here, it is only kept. A call that is repeated mails the same again, which does no harm."""
    link = _link(asked["run"], int(time.time()) + VALID, APPROVER)
    _MAILS.append({"to": APPROVER, "subject": f"May we pay {asked['expense']['what']}?", "link": link})
    return {"asked": APPROVER}


def mails(_: object) -> list[Message]:
    """What was mailed."""
    return _MAILS


def pay(expense: Message) -> Message:
    """Pay it."""
    return {"paid": expense["amount"]}


def decide(_: object, request: Any) -> Page:
    """The page behind the link. Looking at it decides nothing: programs that scan mail follow links."""
    query = request.query
    run, expires, by = (query.get(key, "") for key in ("run", "expires", "by"))
    mac = query.get("mac", "")
    if not hmac.compare_digest(mac.encode(), _mac(run, expires, by).encode()):
        return _page(403, "This link is not ours.")
    if int(expires) < time.time():
        return _page(410, "This link is too old.")
    if request.method != "POST":
        here = html.escape(f"?{urlencode(query)}")
        buttons = "".join(
            f'<form method="post" action="{here}&amp;approved={value}"><button>{label}</button></form>'
            for value, label in (("true", "Pay it"), ("false", "Do not"))
        )
        return _page(200, f"May it be paid?{buttons}")
    approved = query.get("approved")
    if approved not in ("true", "false"):
        return _page(400, "Say yes or no.")
    status = _send(run, mac, json.dumps({"approved": approved == "true", "by": by}).encode())
    said = {202: "Thank you.", 200: "That is what was said before.", 409: "It has been decided already.",
            422: "Something else was said before."}  # fmt: skip
    return _page(200 if status < 300 else status, said.get(status, "It could not be told: try again later."))


def _send(run: str, key: str, body: bytes) -> int:
    """Send the signal, once however often the button is pressed; gives the gateway's status."""
    gateway = HTTPConnection(os.environ.get("APPROVAL_GATEWAY", "127.0.0.1:8080"), timeout=10)
    headers = {"content-type": "application/json", "idempotency-key": key}
    if token := os.environ.get("LEGATO_TOKEN"):
        headers["authorization"] = f"Bearer {token}"
    with closing(gateway):
        gateway.request("POST", f"/api/runs/{quote(run, safe='')}/signals/{SIGNAL}", body, headers)
        return gateway.getresponse().status


def _link(run: str, expires: int, by: str) -> str:
    known = {"run": run, "expires": expires, "by": by}
    return f"{PAGE}?{urlencode(known | {'mac': _mac(run, str(expires), by)})}"


def _mac(run: str, expires: str, by: str) -> str:
    """What nobody can make who does not have the secret: over all that the link says, and what it is for."""
    secret = os.environ.get("APPROVAL_SECRET", "change me")
    said = "\n".join((run, SIGNAL, expires, by))
    return hmac.digest(secret.encode(), said.encode(), "sha256").hex()


def _page(status: int, text: str) -> Page:
    return status, f"<!doctype html><title>Approval</title><p>{text}</p>".encode(), "text/html; charset=utf-8"
