"""`/api/flows`: the definitions, and how one is defined, redefined and deleted (contract 5)."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from weakref import WeakValueDictionary

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from legato.admin.documents import FlowDocument, flow_document, whole_flow_document
from legato.admin.problems import Problematic, ask_store, number
from legato.catalog import Catalog
from legato.errors import Conflict
from legato.model.definition import Definition
from legato.model.source import MAX_BYTES
from legato.orchestrator import Deployed, Orchestrator

PAGE = 1000  # flows in a list, unless `limit` says otherwise
PATIENCE = 5.0  # seconds until a change must have come back from its store

_TAG = re.compile(r'\s*(?:W/)?"([^"]*)"\s*')


class FlowsAPI:
    """The routes."""

    def __init__(self, orchestrator: Orchestrator, catalog: Catalog) -> None:
        self._orchestrator = orchestrator
        self._catalog = catalog
        # By name: whoever writes has been told of what it wrote before the next one begins.
        self._turns = WeakValueDictionary[str, asyncio.Lock]()
        self.routes = [
            Route("/api/flows", self.list, methods=["GET"]),
            Route("/api/flows/{name}", self.show, methods=["GET"]),
            Route("/api/flows/{name}", self.put, methods=["PUT"]),
            Route("/api/flows/{name}", self.delete, methods=["DELETE"]),
        ]

    async def list(self, request: Request) -> Response:
        """`?state=ok|broken&limit=&cursor=`: by name; `cursor` is the last name of the page before."""
        query = request.query_params
        limit, after, state = number(query, "limit", PAGE, 1, PAGE), query.get("cursor", ""), query.get("state", "")
        if state not in ("", "ok", "broken"):
            raise Problematic(400, f"`state` is `ok` or `broken`, not {state!r}")
        flows = self._orchestrator.flows
        names = sorted(name for name in flows if name > after and (not state or flows[name].state == state))
        body: dict[str, Any] = {"flows": [flow_document(flows[name]).plain() for name in names[:limit]]}
        if len(names) > limit:
            body["cursor"] = names[limit - 1]
        if self._catalog.troubles:
            body["degraded"] = self._catalog.troubles
        return JSONResponse(body)

    async def show(self, request: Request) -> Response:
        """A definition with its text; with `?version=`, a text that it has had."""
        name = request.path_params["name"]
        deployed = self._find(name)
        version = request.query_params.get("version")
        try:
            is_stored = self._catalog.shadowing(name) is None  # else what the store has had is of another definition
            revisions = await ask_store(self._catalog.revisions, name) if is_stored else []
        except Problematic:  # what is served is known all the same
            if version:
                raise
            revisions = []
        document = whole_flow_document(deployed, revisions)
        if version:
            earlier = next((revision for revision in revisions if revision.version == version), None)
            if earlier is None and (version != document.version or deployed.problems):
                raise Problematic(404, f"{name} has no version {version!r}", flow=name)
            if earlier is not None:
                document.version, document.language = earlier.version, earlier.language
                document.source, document.digest = earlier.text.decode("utf-8", "replace"), ""
        return _answer(document, 200)

    async def put(self, request: Request) -> Response:
        """Define a flow: YAML or JSON of our own language, or fnkit's JSON. Nothing is stored that could not run."""
        name = request.path_params["name"]
        text = await _body(request)
        self._refuse_shadowed(name, "define")
        definition = await ask_store(self._catalog.draft, name, text)
        problems = definition.problems or self._orchestrator.check(definition)
        if problems:
            errors = [problem.entry() for problem in problems]
            raise Problematic(
                422, f"the definition of {name} has problems; nothing was stored", flow=name, errors=errors
            )
        async with self._turn(name):
            expected, stored = self._expected(request, name), self._catalog.stored(name)
            try:
                definition = await ask_store(self._catalog.put, definition, expected)
            except Conflict as error:
                raise Problematic(412, str(error), flow=name) from None
            assert definition.source is not None
            if not await self._catalog.told(name, definition.source.digest, PATIENCE):
                detail = "stored; it is not served yet, because its store is slow, or has been replaced meanwhile"
                return JSONResponse({"name": name, "detail": detail}, 202)
            return _answer(whole_flow_document(self._find(name), []), 201 if stored is None else 200)

    async def delete(self, request: Request) -> Response:
        """Delete a definition; its runs go on to their end."""
        name = request.path_params["name"]
        self._refuse_shadowed(name, "delete")
        async with self._turn(name):
            if self._catalog.stored(name) is None:
                raise Problematic(404, f"there is no flow {name!r} in the store", flow=name)
            try:
                await ask_store(self._catalog.delete, name, self._expected(request, name))
            except Conflict as error:
                raise Problematic(412, str(error), flow=name) from None
            self._catalog.forget(name)
            served_still = not await self._catalog.told(name, None, PATIENCE)
        return Response(status_code=202 if served_still else 204)

    def _turn(self, name: str) -> asyncio.Lock:
        return self._turns.setdefault(name, asyncio.Lock())

    def _find(self, name: str) -> Deployed:
        deployed = self._orchestrator.flows.get(name)
        if deployed is None:
            raise Problematic(404, f"there is no flow {name!r}", flow=name)
        return deployed

    def _refuse_shadowed(self, name: str, verb: str) -> None:
        """A file in `flows/` wins over the store: what is put behind it would never be served."""
        hiding: Definition | None = self._catalog.shadowing(name)
        if hiding is not None:
            detail = f"{name} is defined by {hiding.origin}: {verb} it there, or take that file away first"
            raise Problematic(409, detail, flow=name)

    def _expected(self, request: Request, name: str) -> str | None:
        """What must be stored for the change to be made, by If-Match and If-None-Match (RFC 9110, 13.1).

        A digest, "" for nothing, None for whatever.
        """
        stored = self._catalog.stored(name)
        digest = stored.source.digest if stored is not None and stored.source is not None else ""
        is_lost = stored is not None and stored.note  # it is remembered here: where it is stored there is nothing
        if (header := request.headers.get("if-none-match")) is not None:
            if header.strip() != "*":
                raise Problematic(400, "If-None-Match of a change is *, for a flow that must not be there yet")
            if "if-match" in request.headers:
                raise Problematic(412, "no flow is both there (If-Match) and not (If-None-Match)", flow=name)
            return ""
        if (header := request.headers.get("if-match")) is None:
            return None
        if header.strip() == "*":
            tags = [digest] if digest else []
        else:
            tags = [match[1] if (match := _TAG.fullmatch(part)) else "" for part in header.split(",")]
            if not all(tags):
                raise Problematic(400, 'If-Match is an ETag in quotes, as in "0a1b", or *')
        if is_lost and digest in tags:
            return ""
        if len(tags) == 1:
            return tags[0]
        if digest not in tags:
            raise Problematic(412, f"{name} is not what was expected: read it again, and repeat the change", flow=name)
        return digest


def _answer(document: FlowDocument, status: int) -> Response:
    headers = {"etag": f'"{document.digest}"'} if document.digest else {}
    return JSONResponse(document.plain(), status, headers)


async def _body(request: Request) -> bytes:
    """The text of a definition, at most MAX_BYTES."""
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_BYTES:
                raise Problematic(413, f"a definition has at most {MAX_BYTES // 1024} KiB")
    except ClientDisconnect:
        raise Problematic(400, "the definition ended early") from None
    return b"".join(chunks)
