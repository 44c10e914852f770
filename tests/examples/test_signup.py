"""examples/signup: KrakenD's workflow with its conditional e-mail."""

from __future__ import annotations

import pytest

from tests.examples.project import Example, Functions, Said

EXAMPLE = "signup"
PONG = {"message": "pong"}
BROWSER = {"user-agent": "curl/8.6.0"}


def signup(example: Example, wants: str = "yes", body: bytes | None = None) -> Said:
    return example.ask("POST", f"/orchestrate/signup/{wants}", body, {"content-type": "application/json", **BROWSER})


def test_readme(example: Example) -> None:
    example.follow_readme()


def test_with_an_email(example: Example, functions: Functions) -> None:
    functions.meet("publish-event", "send-welcome")
    said = signup(example)
    assert (said.status, said.completed) == (200, "true")
    assert said.json() == {
        "additional-services": {
            "notification-service": PONG,
            "send-email": {"req_uri": "/welcome/pong?ua=curl/8.6.0"},
        },
        "legacy-response": PONG,
    }
    assert functions.called[0] == "register-user"
    assert functions.sent("publish-event") == [{"newuser": "pong"}]


def test_without_an_email(example: Example, functions: Functions) -> None:
    said = signup(example, "no")
    assert said.json() == {"additional-services": {"notification-service": PONG}, "legacy-response": PONG}
    assert said.completed == "true", "what was not wanted is not missing"
    assert functions.called == ["register-user", "publish-event"]


@pytest.mark.parametrize("down", ["publish-event", "send-welcome"])
def test_a_service_down_changes_nothing_of_the_registration(example: Example, functions: Functions, down: str) -> None:
    functions.hangs_up(down)
    said = signup(example)
    assert (said.status, said.completed, said.json()["legacy-response"]) == (200, "false", PONG)
    assert len(said.json()["additional-services"]) == 1


def test_nobody_is_told_of_a_user_that_was_refused(example: Example, functions: Functions) -> None:
    said = signup(example, body=b'{"name": "root"}')
    assert (said.status, said.json()["step"], said.json()["upstream"]["status"]) == (502, "legacy-response", 409)
    assert functions.called == ["register-user"]
