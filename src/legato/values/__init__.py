"""Values: expressions, templates, shaping, schemas and codecs. Pure: from payloads and text to payloads.

Everything is compiled when a definition is loaded, which finds every fault; what is evaluated later is bounded in time
and memory whatever the data are. No I/O, no clock; how payloads come and go is the kernel's and the hosts' matter.
"""

from legato.values.codecs import DECODERS, ENCODERS
from legato.values.env import Env, Reference
from legato.values.expression import Expression, compile_expression
from legato.values.faults import EvaluationFailed, ExpressionError, Fault
from legato.values.schema import Schema, SchemaProblem, compile_schema
from legato.values.shape import Shape, compile_shape
from legato.values.template import Template, compile_template
from legato.values.texts import TextTemplate, compile_text
from legato.values.urls import PathTemplate, QueryTemplate, compile_path, compile_query, is_fixed

__all__ = [
    "DECODERS",
    "ENCODERS",
    "Env",
    "EvaluationFailed",
    "Expression",
    "ExpressionError",
    "Fault",
    "PathTemplate",
    "QueryTemplate",
    "Reference",
    "Schema",
    "SchemaProblem",
    "Shape",
    "Template",
    "TextTemplate",
    "compile_expression",
    "compile_path",
    "compile_query",
    "compile_schema",
    "compile_shape",
    "compile_template",
    "compile_text",
    "is_fixed",
]
