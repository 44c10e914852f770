from legato.builder import Flow as Flow
from legato.builder import Graph as Graph
from legato.builder import Steps as Steps
from legato.builder import flow as flow
from legato.builder.context import Context as Context
from legato.errors import ComeAgain as ComeAgain
from legato.errors import DefinitionError as DefinitionError
from legato.errors import ForeignAwait as ForeignAwait
from legato.errors import LegatoError as LegatoError
from legato.errors import Refused as Refused
from legato.errors import StepError as StepError
from legato.inprocess import RunFailed as RunFailed
from legato.inprocess import run as run
from legato.inprocess import run_sync as run_sync
from legato.model.payload import Payload as Payload
from legato.mount import asgi as asgi

__version__: str
