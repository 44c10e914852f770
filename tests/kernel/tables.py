"""Flows and what the kernel does with them, by name: (flow, transcript). See `transcript` for how to read them."""

from __future__ import annotations

from tests.kernel.flows import call, flow, par, seq

TABLES = {
    "a flow of no steps ends at once": (flow(), "start -> ; end ok"),
    "a sequence of calls": (
        flow(call("a"), call("b"), call("c")),
        """
        start -> a
        a ok  -> b
        b ok  -> c
        c ok  -> ; end ok
        """,
    ),
    "nested sequences are one after another too, empty ones are passed": (
        flow(seq(), seq(call("a"), seq(seq(), call("b")), id="s"), call("c")),
        """
        start          -> s.a
        s.a ok         -> s.steps_2.b   # one scope: the sequence before it is `steps`
        s.steps_2.b ok -> c
        c ok         -> ; end ok
        """,
    ),
    "a refusal ends a sequence": (
        flow(call("a"), call("b")),
        """
        start     -> a
        a refused -> ; end failed a
        """,
    ),
    "branches start together, the next step waits for all": (
        flow(par(x=call("f"), y=seq(call("g"), call("h")), z=seq()), call("after")),
        """
        start           -> parallel.x, parallel.y.g
        parallel.y.g ok -> parallel.y.h
        parallel.x ok   ->
        parallel.y.h ok -> after
        after ok        -> ; end ok
        """,
    ),
    "a parallel of empty branches ends at once": (flow(par(x=seq(), y=seq(seq()))), "start -> ; end ok"),
    "parallels in parallels": (
        flow(par("p", x=par(a=call("f"), b=call("f")), y=par(a=call("f"), c=seq(call("g"))))),
        """
        start      -> p.x.a, p.x.b, p.y.a, p.y.c.g
        p.y.c.g ok ->
        p.x.b ok   ->
        p.x.a ok   ->
        p.y.a ok   -> ; end ok
        """,
    ),
    "a failing branch cancels its siblings, and the scope ends when they have ended": (
        flow(par("p", x=call("f"), y=call("g"), z=seq(call("h"), call("never"))), call("never")),
        """
        start           -> p.x, p.y, p.z.h
        p.x ok          ->
        p.y refused     -> cancel p.z.h
        p.z.h cancelled -> ; end failed p.y
        """,
    ),
    "an answer that is already there counts, but what would follow it is not begun": (
        flow(par("p", x=call("f"), z=seq(call("h", undo="u"), call("never")))),
        """
        start         -> p.x, p.z.h
        p.x unknown   -> cancel p.z.h
        p.z.h ok      -> p.z.h/undo ; undoing
        p.z.h/undo ok -> ; end failed p.x
        """,
    ),
    "a failure deep in one branch cancels what is deep in another, once": (
        flow(par("p", x=par(a=call("f"), b=call("f")), y=par(a=call("f"), b=seq(call("g"), call("never"))))),
        """
        start         -> p.x.a, p.x.b, p.y.a, p.y.b.g
        p.x.a refused -> cancel p.x.b
        p.y.a refused -> cancel p.y.b.g
        p.x.b unknown ->
        p.y.b.g ok    -> ; end failed p.x.a
        """,
    ),
    "a scope that fails while its own siblings are still being cancelled is cancelled no second time": (
        flow(par("p", x=par(a=call("f"), b=call("f")), y=call("g"))),
        """
        start         -> p.y, p.x.a, p.x.b   # a branch that is a single call comes before those that need a fiber
        p.x.a refused -> cancel p.x.b
        p.y refused   ->
        p.x.b ok      -> ; end failed p.y
        """,
    ),
    "an outcome `cancelled` that nobody asked for is a failure": (
        flow(call("a"), call("b")),
        """
        start       -> a
        a cancelled -> ; end failed a
        """,
    ),
    "a retryable that the host gave up on is a failure": (
        flow(call("a", undo="u")),
        """
        start       -> a
        a retryable -> ; end failed a
        """,
    ),
    "undo in reverse order, of what was done or maybe done, not of what was refused": (
        flow(call("a", undo="u"), call("b"), call("c", undo="u"), call("d", undo="u"), call("e", undo="u")),
        """
        start     -> a
        a ok      -> b
        b ok      -> c
        c ok      -> d
        d ok      -> e
        e refused -> d/undo ; undoing
        d/undo ok -> c/undo ; undoing
        c/undo ok -> a/undo ; undoing
        a/undo ok -> ; end failed e
        """,
    ),
    "an unknown outcome is undone": (
        flow(call("a", undo="u")),
        """
        start     -> a
        a unknown -> a/undo ; undoing
        a/undo ok -> ; end failed a
        """,
    ),
    "an undo that fails does not stop the others": (
        flow(call("a", undo="u"), par("p", x=call("b", undo="u"), y=call("c", undo="u")), call("d")),
        """
        start              -> a
        a ok               -> p.x, p.y
        p.y ok             ->
        p.x ok             -> d
        d refused          -> p.y/undo, p.x/undo ; undoing
        p.x/undo refused   -> ; undoing
        p.y/undo unknown   -> a/undo ; undoing
        a/undo retryable   -> ; end failed d
        """,
    ),
    "parallel branches are undone in parallel, each in its own reverse order": (
        flow(
            call("a", undo="u"),
            par("p", x=seq(call("b", undo="u"), call("c", undo="u")), y=par(k=call("d", undo="u"), l=call("e"))),
            call("z"),
        ),
        """
        start         -> a
        a ok          -> p.x.b, p.y.k, p.y.l
        p.x.b ok      -> p.x.c
        p.y.l ok      ->
        p.x.c ok      ->
        p.y.k ok      -> z
        z unknown     -> p.x.c/undo, p.y.k/undo ; undoing
        p.y.k/undo ok -> ; undoing
        p.x.c/undo ok -> p.x.b/undo ; undoing
        p.x.b/undo ok -> a/undo ; undoing
        a/undo ok     -> ; end failed z
        """,
    ),
    "a run that ends well undoes nothing": (
        flow(call("a", undo="u")),
        """
        start -> a
        a ok  -> ; end ok
        """,
    ),
    "a cancelled run waits for every delivery, then undoes": (
        flow(call("a", undo="u"), par("p", x=call("b", undo="u"), y=call("c", undo="u"))),
        """
        start         -> a
        a ok          -> p.x, p.y
        cancel        -> cancel p.x, cancel p.y
        p.y cancelled ->
        p.x unknown   -> p.x/undo ; undoing
        p.x/undo ok   -> a/undo ; undoing
        a/undo ok     -> ; end cancelled p.x
        """,
    ),
    "an answer that comes after the cancel does not save the run": (
        flow(call("a")),
        """
        start    -> a
        deadline -> cancel a
        a ok     -> ; end deadline a
        """,
    ),
    "a cancel after the end does not make a failure of a success": (
        flow(call("a")),
        """
        start       -> a
        a ok        -> ; end ok
        cancel      -> ; end ok
        hard cancel -> ; end ok
        """,
    ),
    "a second cancel is nothing new": (
        flow(call("a", undo="u")),
        """
        start       -> a
        disconnect  -> cancel a
        deadline    ->
        cancel      ->
        a unknown   -> a/undo ; undoing
        cancel      -> ; undoing
        deadline    -> ; undoing
        a/undo ok   -> ; end disconnect a
        cancel      -> ; end disconnect a
        hard cancel -> ; end disconnect a
        """,
    ),
    "a hard cancel means no undo": (
        flow(call("a", undo="u"), call("b")),
        """
        start       -> a
        a ok        -> b
        hard cancel -> cancel b
        b cancelled -> ; end cancelled b
        """,
    ),
    "a hard cancel after a soft one means no undo either": (
        flow(call("a", undo="u"), call("b")),
        """
        start         -> a
        a ok          -> b
        deadline      -> cancel b
        hard cancel   ->
        b cancelled   -> ; end deadline b
        """,
    ),
    "a soft cancel does not take back a hard one": (
        flow(call("a", undo="u"), call("b")),
        """
        start         -> a
        a ok          -> b
        hard cancel   -> cancel b
        deadline      ->
        b cancelled   -> ; end cancelled b
        """,
    ),
    "a hard cancel stops the undo": (
        flow(call("a", undo="u"), par("p", x=call("b", undo="u"), y=call("c", undo="u")), call("d")),
        """
        start               -> a
        a ok                -> p.x, p.y
        p.x ok              ->
        p.y ok              -> d
        d refused           -> p.y/undo, p.x/undo ; undoing
        hard cancel         -> cancel p.y/undo, cancel p.x/undo ; undoing
        hard cancel         -> ; undoing
        p.x/undo ok         -> ; undoing
        p.y/undo cancelled  -> ; end failed d
        """,
    ),
    "cancel while a failed branch waits for its sibling": (
        flow(par("p", x=call("a"), y=call("b", undo="u"))),
        """
        start       -> p.x, p.y
        p.x refused -> cancel p.y
        cancel      ->
        p.y unknown -> p.y/undo ; undoing
        p.y/undo ok -> ; end cancelled p.y
        """,
    ),
}
