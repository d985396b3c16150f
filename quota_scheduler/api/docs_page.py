"""The OpenAPI document as a page: written out here, so that it needs no script, no other host and no connection."""

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from quota_scheduler.explanations import EXPLANATIONS, Explanation

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}"
    "code,pre{font:14px/1.4 ui-monospace,monospace}summary{cursor:pointer;padding:.35rem 0}"
    "table{border-collapse:collapse;margin:.5rem 0 1rem}td,th{text-align:left;padding:.2rem .8rem .2rem 0;"
    "vertical-align:top;border-bottom:1px solid #d8dee4}b{display:inline-block;min-width:4.5rem}"
    "@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}td,th{border-color:#30363d}a{color:#58a6ff}}"
)
_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing but this page's own style: text of an operation can never become a script."""


def page(document: Mapping[str, Any]) -> str:
    """The whole page of an OpenAPI document."""
    title = escape(document["info"]["title"])
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head>"
        f"<body><h1>{title} {escape(document['info']['version'])}</h1>"
        '<p>The same for programs: <a href="openapi.json">openapi.json</a>. Bodies are JSON and say so: '
        "<code>Content-Type: application/json</code>. With tokens: <code>Authorization: Bearer TOKEN</code>.</p>"
        f"<h2>Requests</h2>{''.join(_operations(document))}<h2>Bodies</h2>{''.join(_schemas(document))}"
        f"<h2>Errors</h2>{''.join(_errors(EXPLANATIONS))}</body></html>"
    )


def _operations(document: Mapping[str, Any]) -> Iterator[str]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield (
                f"<details><summary><b>{method.upper()}</b> <code>{escape(path)}</code> "
                f"{escape(operation['summary'])}</summary><p>{escape(operation['description'])}</p>"
                f"{_parameters(operation)}{_body(operation)}</details>"
            )


def _parameters(operation: Mapping[str, Any]) -> str:
    rows = [(one["name"], one["in"], one.get("description", "")) for one in operation["parameters"]]
    return _table(("parameter", "in", "meaning"), rows)


def _body(operation: Mapping[str, Any]) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    kinds = (f"<code>{escape(kind)}</code>: {_kind(spec['schema'])}" for kind, spec in content.items())
    return "".join(f"<p>Body, {kind}</p>" for kind in kinds)


def _schemas(document: Mapping[str, Any]) -> Iterator[str]:
    for name, schema in document["components"]["schemas"].items():
        rows = [
            (key, "required" if key in schema.get("required", ()) else "", _Html(_kind(spec)))
            for key, spec in schema.get("properties", {}).items()
        ]
        text = escape(schema.get("description", ""))
        yield f'<h3 id="{escape(name)}">{escape(name)}</h3><p>{text}</p>{_table(("key", "", "value"), rows)}'


def _errors(explanations: Mapping[str, Explanation]) -> Iterator[str]:
    """Each error under the anchor that the ``type`` of its problem names."""
    for code, entry in explanations.items():
        status = f" <small>{entry.status}</small>" if entry.status else ""
        yield (
            f'<h3 id="{escape(code)}">{escape(code)}{status}</h3>'
            f"<p>{_prose(entry.meaning)} <b>Do:</b> {_prose(entry.way_out)}</p>"
        )


def _prose(text: str) -> str:
    """A sentence with its code as code, and the names of pages that are not served without their links."""
    unlinked = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", text)
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(unlinked))


class _Html(str):
    """Text that is HTML already."""


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    body = "".join(
        f"<tr>{''.join(f'<td>{cell if isinstance(cell, _Html) else escape(cell)}</td>' for cell in row)}</tr>"
        for row in rows
    )
    return f"<table><tr>{''.join(f'<th>{escape(cell)}</th>' for cell in head)}</tr>{body}</table>"


def _kind(spec: Mapping[str, Any]) -> str:
    """What a schema takes, in a few words of HTML."""
    if "$ref" in spec:
        name = escape(spec["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    for several in ("oneOf", "anyOf"):
        if several in spec:
            return " or ".join(_kind(one) for one in spec[several])
    if "enum" in spec or "const" in spec:
        return ", ".join(f"<code>{escape(str(value))}</code>" for value in spec.get("enum", [spec.get("const")]))
    if spec.get("type") == "array":
        return f"list of {_kind(spec.get('items', {}))}"
    words = [str(spec.get("type", "any value")), *(f"{name} {spec[name]}" for name in _BOUNDS if name in spec)]
    return escape(", ".join(words) + (f". {spec['description']}" if "description" in spec else ""))


_BOUNDS = ("format", "pattern", "minimum", "maximum", "minLength", "maxLength", "maxItems", "default")
