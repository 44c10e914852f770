"""What was cancelled may end much later than it was told to: nothing that follows begins before it has (contract 1).

Hosts settle what they abort at once; another may not. So here the deliveries come when the transcript says.
"""

from __future__ import annotations

import pytest

from tests.kernel.transcript import play
from tests.language.play import flow_of

TABLES = {
    "a fallback waits for the siblings of what failed, and for their undo": (
        "{parallel: {x: {call: f, undo: u}, y: f}, id: p, on_error: {steps: [mend]}}, after",
        """
        start           -> p.x, p.y
        p.y refused     -> cancel p.x
        p.x unknown     -> p.x/undo
        p.x/undo ok     -> p/error.mend
        p/error.mend ok -> after
        after ok        -> ; end ok
        """,
    ),
    "so it does for the nodes of a graph": (
        "{graph: {x: {call: f, undo: u}, y: f, z: {call: f, after: x}}, id: g, on_error: {steps: [mend]}}",
        """
        start           -> g.x, g.y
        g.y refused     -> cancel g.x
        g.x ok          -> g.x/undo
        g.x/undo ok     -> g/error.mend
        g/error.mend ok -> ; end ok
        """,
    ),
    "for the items of a loop": (
        "{foreach: [1, 2, 3], id: e, concurrency: 2, steps: [{call: f, undo: u}], on_error: {steps: [mend]}}",
        """
        start           -> e[0].f, e[1].f
        e[1].f refused  -> cancel e[0].f
        e[0].f unknown  -> e[0].f/undo
        e[0].f/undo ok  -> e/error.mend
        e/error.mend ok -> ; end ok
        """,
    ),
    "for the cases of a choice": (
        "{choose: {all: true, cases: [{when: '${true}', name: a, call: f}, {when: '${true}', name: b, call: f}]}, "
        "id: c, on_error: {steps: [mend]}}",
        """
        start           -> c.a.f, c.b.f
        c.b.f refused   -> cancel c.a.f
        c.a.f unknown   -> c/error.mend
        c/error.mend ok -> ; end ok
        """,
    ),
    "for what a timeout cuts off": (
        "{steps: [{call: f, undo: u}], timeout: 1s, id: s, on_error: {steps: [mend]}}",
        """
        start           -> s/timeout, s.f
        s/timeout ok    -> cancel s.f
        s.f unknown     -> s.f/undo
        s.f/undo ok     -> s/error.mend
        s/error.mend ok -> ; end ok
        """,
    ),
    "a timer that is no longer needed is waited for, too": (
        "{steps: [f], timeout: 1s, id: s}, after",
        """
        start               -> s/timeout, s.f
        s.f ok              -> cancel s/timeout
        s/timeout cancelled -> after
        after ok            -> ; end ok
        """,
    ),
    "an answer that comes after the timeout does not save the step": (
        "{steps: [f], timeout: 1s, id: s}, after",
        """
        start        -> s/timeout, s.f
        s/timeout ok -> cancel s.f
        s.f ok       -> ; end deadline s
        """,
    ),
    "the next step waits for the losers of a join": (
        "{parallel: {x: [{call: f, undo: u}], y: f}, join: any, id: p}, after",
        """
        start         -> p.y, p.x.f
        p.y ok        -> cancel p.x.f
        p.x.f unknown -> p.x.f/undo
        p.x.f/undo ok -> after
        after ok      -> ; end ok
        """,
    ),
    "a loser that answers after all has won as well": (
        "{parallel: {x: {call: f, undo: u}, y: f}, join: any, id: p}, after",
        """
        start    -> p.x, p.y
        p.y ok   -> cancel p.x
        p.x ok   -> after
        after ok -> ; end ok
        """,
    ),
    "a join that cannot be met any more waits for those that it cancels": (
        "{parallel: {x: f, y: f, z: f}, join: {quorum: 2}, id: p, on_error: {steps: [mend]}}",
        """
        start           -> p.x, p.y, p.z
        p.x refused     ->
        p.z refused     -> cancel p.y
        p.y ok          -> p/error.mend
        p/error.mend ok -> ; end ok
        """,
    ),
    "cancelled while it waits for what it has cancelled, a step begins no fallback": (
        "{call: a, undo: u}, {parallel: {x: f, y: f}, id: p, on_error: {steps: [mend]}}",
        """
        start       -> a
        a ok        -> p.x, p.y
        p.y refused -> cancel p.x
        cancel      ->
        p.x unknown -> a/undo ; undoing
        a/undo ok   -> ; end cancelled p.x
        """,
    ),
    "cancelled while it undoes for its fallback, the run goes on with what is left": (
        "{call: a, undo: u}, {steps: [{call: b, undo: u}, {call: c, undo: u}, d], id: s, on_error: {steps: [mend]}}",
        """
        start       -> a
        a ok        -> s.b
        s.b ok      -> s.c
        s.c ok      -> s.d
        s.d refused -> s.c/undo
        cancel      ->
        s.c/undo ok -> s.b/undo ; undoing
        s.b/undo ok -> a/undo ; undoing
        a/undo ok   -> ; end cancelled s.c/undo
        """,
    ),
    "what an item of a loop is undone for, while the others go on, is undone once": (
        "{foreach: [1, 2, 3], id: e, concurrency: 2, tolerate: 1, steps: [{call: f, undo: u}, g]}",
        """
        start          -> e[0].f, e[1].f
        e[0].f ok      -> e[0].g
        e[0].g refused -> e[0].f/undo
        e[1].f ok      -> e[1].g
        deadline       -> cancel e[1].g
        e[1].g unknown ->
        e[0].f/undo ok -> e[1].f/undo ; undoing
        e[1].f/undo ok -> ; end deadline e[0].f/undo
        """,
    ),
    "the undo of a loop is as wide as the loop was, of those that were last first": (
        "{foreach: [1, 2, 3], id: e, concurrency: 2, steps: [{call: f, undo: u}]}, g",
        """
        start          -> e[0].f, e[1].f
        e[0].f ok      -> e[2].f
        e[1].f ok      ->
        e[2].f ok      -> g
        g refused      -> e[2].f/undo, e[1].f/undo ; undoing
        e[1].f/undo ok -> e[0].f/undo ; undoing
        e[2].f/undo ok -> ; undoing
        e[0].f/undo ok -> ; end failed g
        """,
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_transcript(name: str) -> None:
    steps, transcript = TABLES[name]
    play(flow_of(f"steps: [{steps}]"), transcript)
