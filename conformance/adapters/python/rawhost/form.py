"""A form: its fields as the schema has them, with what stands in them."""

import re

KINDS = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list}


class Form:
    """What stands in a form is in values, by the names of the fields."""

    def __init__(self, schema):
        self._fields = schema.get("properties", {})
        self._required = schema.get("required", [])
        self.values = {name: field["default"] for name, field in self._fields.items() if "default" in field}

    def complete(self):
        """Whether all that has to be there is, and all that is there is as it has to be."""
        return all(name in self.values for name in self._required) and all(
            fits(value, self._fields[name]) for name, value in self.values.items() if name in self._fields
        )


def fits(value, field):
    """Whether a value is one that the field takes."""
    kind = field.get("type")
    if not isinstance(value, KINDS.get(kind, object)) or isinstance(value, bool) and kind != "boolean":
        return False
    if kind == "string" and field.get("format") == "email" and not re.fullmatch(r"[^@\s]+@[^@\s]+", value):
        return False
    if kind == "array":
        if not field.get("minItems", 0) <= len(value) <= field.get("maxItems", len(value)):
            return False
        return all(one in choices(field.get("items", {}), one) for one in value)
    if kind == "string" and not field.get("minLength", 0) <= len(value) <= field.get("maxLength", len(value)):
        return False
    if kind in ("integer", "number") and not field.get("minimum", value) <= value <= field.get("maximum", value):
        return False
    return value in choices(field, value)


def choices(field, value):
    """The values that can be chosen: the value itself where any can."""
    if "enum" in field:
        return field["enum"]
    several = field.get("oneOf") or field.get("anyOf")
    return [choice.get("const") for choice in several] if several else [value]
