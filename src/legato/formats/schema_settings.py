"""The schema of `legato.yaml`. Every value in it may hold variables, `${env.NAME}`."""

# The readers' own tables and patterns are the only ones; a second set would drift.

from __future__ import annotations

from legato.formats import credentials, functions, settings
from legato.formats.addresses import CACHE_SCHEMES, DATA
from legato.formats.credentials import SCOPES, TOKEN_VARIABLES
from legato.formats.functions import BUILTINS, DEFAULT, MAX_CONNECTIONS
from legato.formats.scalars import DAY
from legato.formats.schema_parts import (
    DIALECT,
    IN_HOST,
    IN_URL,
    Schema,
    count,
    duration,
    flag,
    in_any_case,
    mapping,
    or_variables,
    size,
    text,
    whole,
)
from legato.model.function import Function
from legato.model.names import FNKIT_NAME, RESERVED
from legato.model.policy import Breaker
from legato.model.settings import CALLER_SCOPES, Limits, Settings

_LISTEN = r"unix:/.+|(?:\[[0-9A-Fa-f:.]+(?:%[^\]]+)?\]|[A-Za-z0-9._-]+):[0-9]{1,5}"
_SCHEME = "|".join(map(in_any_case, ("http", "https", r"http\+unix"))).join(("(?:", ")"))
_STORE = rf"files|sqlite:.+|(?:{'|'.join(CACHE_SCHEMES)}).+"
_LEAST_TIME = 0.001  # seconds

# fnkit's rule knows no case where a name is reserved, and refuses numbers, which would reach an address.
_RESERVED = "|".join(map(in_any_case, sorted(RESERVED)))
FUNCTION_NAME = rf"(?!(?:{_RESERVED}|[0-9]+|0[xX][0-9a-fA-F]+)(?![A-Za-z0-9_-]))(?:{FNKIT_NAME.pattern})"


def settings_schema() -> Schema:
    """`legato.yaml`."""
    return {
        "$schema": DIALECT,
        "title": "Settings",
        "description": "legato.yaml: the settings of a gateway. Every key has a default.",
        **mapping(settings.KNOWN, _keys()),
    }


def _keys() -> dict[str, Schema]:
    defaults = Settings()
    listen: Schema = {
        "description": "Where the gateway listens: HOST:PORT, [V6]:PORT or unix:/path. 0.0.0.0:8080 is every "
        "interface, and needs a token.",
        "type": "string",
        "pattern": whole(_LISTEN),
        "default": defaults.listen,
        "examples": ["0.0.0.0:8080", "unix:/run/legato.sock"],
    }
    log = "Whether each request to a flow makes a line of JSON on standard output."
    flows = "The folder of the flows, from this file's own folder."
    timeout = "How long a run may take, where its flow does not say."
    return {
        "listen": or_variables(listen),
        "auth": {"description": "Who may start flows.", **mapping(("tokens",), {"tokens": _tokens()})},
        "access_log": or_variables(flag(log, defaults.access_log)),
        "flows": or_variables(text(flows, default=defaults.flows)),
        "store": or_variables(
            {
                "description": "Where definitions are kept that are added while the gateway runs: sqlite:FILE, the URL "
                f"of a Valkey or Redis server, or `files`. {settings.STORE_VARIABLE} overrides it.",
                "type": "string",
                "pattern": whole(_STORE),
                "default": defaults.store,
                "examples": ["sqlite:legato.db", "valkey://localhost:6379", "files"],
            }
        ),
        "timeout": or_variables(duration(timeout, _LEAST_TIME, DAY, defaults.timeout)),
        "functions": _functions(defaults.default_function),
        "direct_functions": _direct_functions(),
        "limits": _limits(),
        "python_modules": {
            "description": "Modules whose code flows may name, with what is below them, beside those in this file's "
            "folder; `*` for any.",
            "type": "array",
            "items": or_variables({"type": "string", "pattern": whole(settings.MODULE.pattern)}),
            "examples": [["pricing"]],
        },
        "callback_secret": or_variables(
            {
                "description": "The key that signs what callbacks post, by HMAC-SHA256. Without it no flow may have a "
                "callback. Better kept out of this file, by a variable.",
                "type": "string",
                "pattern": r"\S",
                "minLength": settings.LEAST_SECRET,
                "examples": ["${env.CALLBACK_SECRET}"],
            }
        ),
        **_durable_keys(defaults),
        "data": or_variables(
            {
                "description": "Where large data is kept, of Python code and of durable runs: files:FOLDER, "
                "s3://BUCKET/PREFIX (its credentials by the variables AWS_*), or a class of your own, module:Class.",
                "type": "string",
                "pattern": whole(DATA.pattern),
                "default": defaults.data,
                "examples": ["s3://shop/legato", "shop.stores:Store"],
            }
        ),
    }


def _tokens() -> Schema:
    token = or_variables({"type": "string", "pattern": whole(credentials.TOKEN.pattern)})
    scopes: Schema = {
        "description": "What it allows: `run` to start flows, `observe` to see what there is and what it does, "
        "`define` to add and remove flows.",
        "type": "array",
        "minItems": 1,
        "items": or_variables({"enum": [*SCOPES]}),
    }
    entry = mapping(("token", "scopes"), {"token": token, "scopes": scopes}, ("token", "scopes"))
    return {
        "description": f"Bearer tokens. One by itself allows {' and '.join(CALLER_SCOPES)}. Better kept out of this "
        f'file: ["${{env.SHOP_TOKEN}}"], or the variables {" and ".join(TOKEN_VARIABLES)}, which add theirs.',
        "type": "array",
        "items": {"anyOf": [token, entry]},
    }


def _direct_functions() -> Schema:
    function = or_variables({"type": "string", "pattern": whole(FUNCTION_NAME), "maxLength": 255})
    return {
        "description": "Which functions can be called at /NAME, without a flow: none (false), all (true), or those "
        "listed.",
        "default": Settings().direct_functions,
        "anyOf": [or_variables({"type": "boolean"}), {"type": "array", "items": function}],
    }


def _durable_keys(defaults: Settings) -> dict[str, Schema]:
    return {
        "journal": or_variables(
            {
                "description": "The file that durable runs are written to; one process owns it.",
                "type": "string",
                "minLength": 1,
                "default": defaults.journal,
            }
        ),
        "keep_runs": duration(
            "So long after their end durable runs are deleted; 0 keeps them for ever.",
            0,
            3650 * DAY,
            defaults.keep_runs,
        ),
        "answer_within": duration(
            "How long the caller of a durable flow waits for its result; then it gets 202 and where to look, and the "
            "run goes on.",
            0,
            DAY,
            defaults.answer_within,
        ),
    }


def _functions(default: str) -> Schema:
    return {
        "description": "How functions are reached, by name.",
        "type": "object",
        "properties": {
            DEFAULT: or_variables(
                {
                    "description": "The URL of every function without an entry, with {name} where its name goes.",
                    "type": "string",
                    "pattern": rf"^(?=.*\{{name\}}){_SCHEME}://(?:{IN_URL}|\{{name\}})+$",
                    "default": default,
                }
            )
        },
        "propertyNames": {"pattern": whole(FUNCTION_NAME), "maxLength": 255},
        "additionalProperties": {
            "description": "A function: a URL, or a mapping with one of url, python, builtin.",
            "anyOf": [or_variables(_url("Where the function is called, by HTTP.")), _function()],
        },
    }


def _url(description: str) -> Schema:
    return {
        "description": f"{description} A step's `path` is appended. No query, no credentials.",
        "type": "string",
        "pattern": rf"^{_SCHEME}://(?:{IN_HOST})+(?:/(?:{IN_URL})*)?$",
        "examples": ["http://orders.internal/validate"],
    }


def _function() -> Schema:
    defaults = Function(name="")
    connections = "How many connections to it may be open at once; more calls wait."
    keys: dict[str, Schema] = {
        "url": or_variables(_url("Where the function is called: http://, https:// or http+unix://.")),
        "python": or_variables(
            {
                "description": "Python code in the gateway's process, module:function, imported from this folder. It "
                "gets the value and returns the next one.",
                "type": "string",
                "pattern": whole(functions.PYTHON.pattern),
                "examples": ["functions:greet"],
            }
        ),
        "builtin": or_variables(
            {
                "description": "For trying things: `echo` answers what it gets, `fail` the status in the input's "
                "`status`, `slow` what it gets after the input's `seconds`.",
                "enum": [*BUILTINS],
            }
        ),
        "timeout": or_variables(
            duration("How long one attempt may take, unless the call says.", _LEAST_TIME, DAY, defaults.timeout)
        ),
        "idempotent": or_variables(flag("Calling it twice does no harm.", defaults.idempotent)),
        "keyed": or_variables(
            flag("It honours Idempotency-Key: calling it twice with one key does no harm.", defaults.keyed)
        ),
        "connections": or_variables(count(connections, 1, MAX_CONNECTIONS, default=defaults.connections)),
        "ca": or_variables(text("A file of certificates to trust, for https, from this file's own folder.")),
        "breaker": _breaker(),
        "concurrency": or_variables(
            count("How many calls of it may be in flight, 0 for any number; more wait.", 0, functions.MAX_CONCURRENCY)
        ),
    }
    return {
        **mapping(functions.KNOWN, keys),
        "oneOf": [{"required": [key]} for key in functions.REACHED],
        "dependentSchemas": {"ca": {"properties": {"url": {"pattern": r"^https:|\$\{"}}, "required": ["url"]}},
    }


def _breaker() -> Schema:
    usual = Breaker()
    keys = {
        "failures": count("After how many failures in a row.", 1, functions.MAX_FAILURES, default=usual.failures),
        "within": duration("Within how long they must have happened.", _LEAST_TIME, DAY, usual.within),
        "open": duration("How long calls are refused before one is let through.", _LEAST_TIME, DAY, usual.open),
    }
    return {
        "description": "Refuse calls, unsent, while the function fails: `true`, or after how many failures.",
        "anyOf": [
            or_variables({"type": "boolean"}),
            mapping(functions.BREAKER_KEYS, {key: or_variables(each) for key, each in keys.items()}),
        ],
    }


_LIMIT_WORDS = {
    "url": "The longest URL of a request.",
    "header_bytes": "The size of a request's headers in all.",
    "header_count": "How many headers a request may have.",
    "request_body": "The largest body of a request; it is held in memory until its flow ends.",
    "answer_body": "The largest answer of a function.",
    "header_time": "How long the headers of a request may take to come.",
    "body_time": "The longest silence between two parts of a body.",
    "keep_alive": "How long a connection may be idle; longer than the load balancer's own.",
    "drain": "How long a stopping gateway waits for its runs.",
    "hops": "Through how many gateways a request may come; one that reaches itself would go on for ever.",
    "durable_runs": "How many durable runs may be under way at once; those that only wait do not count.",
    "recent_runs": "How many runs are remembered with their steps, for whoever looks; each costs about 1 KiB.",
}


def _limits() -> Schema:
    limits = {key: or_variables(_limit(key, *bounds)) for key, bounds in settings.LIMITS.items()}
    return {"description": "Bounds against accidents and attacks.", **mapping(settings.LIMITS, limits)}


def _limit(key: str, unit: str, low: float, high: float) -> Schema:
    words, default = _LIMIT_WORDS[key], getattr(Limits(), key)
    if unit == "duration":
        return duration(words, low, high, default)
    if unit == "count":
        return count(words, int(low), int(high), default=default)
    return size(words, int(low), int(high), default)
