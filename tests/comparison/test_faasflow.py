"""faas-flow and goflow: what their constructs do, here. Rows of docs/comparison.md name these tests."""

from __future__ import annotations

from legato.model.payload import Payload
from tests.language.play import play

PICTURE = Payload.of(b"image/png", b"\x89PNG\xfe\xff")


def test_edge_forwards_data_as_is() -> None:
    """Bytes stay bytes along an edge; only what joins several has to be JSON."""
    played = play(
        """
        steps:
          - graph:
              load: load
              small: {call: resize, after: load}
        """,
        {"load": PICTURE, "resize": lambda value: value},
    )
    assert played.payload.body == PICTURE.body
