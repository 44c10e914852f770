"""Know your customer, with images that are names: `ada+bob` shows two faces, those of Ada and Bob."""

from __future__ import annotations

from typing import Any, Protocol

from legato.errors import Refused

IMAGES = {
    "s3://kyc/1.png": "ada",
    "s3://kyc/2.png": "bob",
    "s3://kyc/3.png": "ada+bob",
    "s3://kyc/4.png": "mallory",
}


class Request(Protocol):
    """What is read of a request."""

    query: dict[str, str]


def get_kyc_image(nothing: None, request: Request) -> dict[str, Any]:
    """The image at an address."""
    url = request.query["url"]
    if url not in IMAGES:
        raise Refused(f"there is no {url}", status=404)
    return {"url": url, "image": IMAGES[url]}


def face_detect(asked: dict[str, Any]) -> dict[str, Any]:
    """How many faces there are."""
    return {"faces": len(asked["image"].split("+"))}


def face_match(asked: dict[str, Any]) -> dict[str, Any]:
    """Whether one of them is the user's."""
    return {"match": asked["user"] in asked["image"].split("+")}


def mark_profile(validated: dict[str, Any]) -> dict[str, Any]:
    """Note that the user is who they say."""
    return {"user": validated["user"], "profile": "verified"}


def request_review(validated: dict[str, Any]) -> dict[str, Any]:
    """Have somebody look at it."""
    return {"user": validated["user"], "profile": "in review"}


def list_suspects(nothing: None) -> dict[str, Any]:
    """The users that are listed for fraud."""
    suspects = {"ada": "s3://kyc/1.png", "bob": "s3://kyc/4.png", "eve": "s3://kyc/9.png"}
    return {"users": [{"user": user, "url": url} for user, url in suspects.items()]}
