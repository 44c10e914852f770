"""A run that has ended, as its record has it: what its caller is to be told again."""

from __future__ import annotations

from legato.errors import StoreUnavailable
from legato.hosts.journal.documents import void_of
from legato.hosts.journal.records import Ended, Responded, Started, payload_of, record_of
from legato.hosts.recent import Noted
from legato.kernel import Respond
from legato.model.journal import StoredRun
from legato.model.outcome import Failure
from legato.model.payload import Payload
from legato.telemetry.ids import id_text


class EndedRun:
    """See above. Raises StoreUnavailable for a record without a beginning and an end."""

    status = 0

    def __init__(self, stored: StoredRun) -> None:
        started, ended, responded = None, None, None
        void: set[int] = set()
        for event in reversed(stored.events):  # an end that was taken back counts no more: what did comes after it
            if event.kind.startswith("retried"):
                void |= void_of([record_of(event.kind, event.body)])
            elif event.seq not in void and event.kind.startswith(("started", "ended", "respond")):
                match record_of(event.kind, event.body):
                    case Started() as record:
                        started = record
                    case Ended() as record:
                        ended = ended or record
                    case Responded() as record:
                        responded = responded or record
                    case _:
                        pass
        self.id = id_text(stored.row.id)
        if started is None or ended is None:
            raise StoreUnavailable(f"the record of run {self.id.decode()} is not whole; put a backup in its place")
        self.flow = stored.row.flow
        self.trace = started.trace
        self.trace_flags = started.trace_flags
        self.completed = ended.completed
        self.seconds = (stored.row.ended or stored.row.created) - stored.row.created
        self.noted: list[Noted] = []
        self.failure: Failure | None = None if ended.failure is None else ended.failure.failure()
        self.payload: Payload = payload_of(ended.result)
        self.answered: Respond | None = None
        if responded is not None:
            self.failure = None if responded.failure is None else responded.failure.failure()
            self.payload = payload_of(responded.payload)
            self.answered = Respond(self.payload, responded.status, responded.headers, self.failure)
