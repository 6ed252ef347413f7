"""What the newer protocol mirrors into HTTP headers: names, and parameters of tools
that are marked with x-mcp-header."""

import base64
import re

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def encoded(value):
    """A value as a header has it: plain, if that is safe, or in Base64."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    plain = re.fullmatch(r"[\x20-\x7e\t]*", text) and text == text.strip()
    if plain and not (text.startswith("=?base64?") and text.endswith("?=")):
        return text
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


def marks(tool):
    """The headers of a tool's parameters, with the paths of the parameters. None if the
    tool is not to be used, since one of its marks is not as it has to be."""
    found = {}
    reachable = list(_reachable(tool.get("inputSchema", {}), ()))
    if _count(tool.get("inputSchema", {})) != len(reachable):
        return None  # a mark stands where no value can be found
    for path, mark, kind in reachable:
        good = isinstance(mark, str) and TOKEN.fullmatch(mark) and kind in ("string", "integer", "boolean")
        if not good or mark.lower() in (name.lower() for name in found):
            return None
        found[mark] = path
    return found


def mirrored(found, arguments):
    """The headers for the arguments of a call."""
    headers = {}
    for mark, path in found.items():
        value = arguments
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None:
            headers[f"Mcp-Param-{mark}"] = encoded(value)
    return headers


def _reachable(schema, path):
    """The marks below a schema, by properties alone."""
    for name, field in schema.get("properties", {}).items() if isinstance(schema, dict) else ():
        if isinstance(field, dict):
            if "x-mcp-header" in field:
                yield (*path, name), field["x-mcp-header"], field.get("type")
            yield from _reachable(field, (*path, name))


def _count(schema):
    """How many marks there are anywhere in a schema."""
    if isinstance(schema, dict):
        return ("x-mcp-header" in schema) + sum(_count(part) for part in schema.values())
    return sum(_count(part) for part in schema) if isinstance(schema, list) else 0
