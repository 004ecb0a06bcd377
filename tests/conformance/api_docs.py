"""docs/api.md and docs/metrics.md, made of what a server says of itself."""
import re

HEAD = """# The HTTP API

Everything that the page and `nexus` show and do goes through these routes; what is said here is made of `/api/openapi.json`
(OpenAPI 3.1), which a server gives to everybody. `tests/conformance/test_openapi` holds both beside what a server answers, and
writes this page anew with `UPDATE_DOCS=1`.

- **Answers** are JSON unless said otherwise: times are RFC 3339 in UTC with milliseconds, durations are seconds, ids are strings;
  what is missing is `null`, never an absent key. New members may come: ignore what you do not know.
- **Errors** are `{"error": {"code", "message", "details"}}` with the right status. A parameter or member that a route does not have is
  an error too, with the nearest name. Each has an `X-Request-Id`; of a 500 the scheduler's log says more under it.
- **Lists** are paged: `next` of a page, if it is not null, is the `cursor` of the page after it.
- **Searching**: `q` has terms that all hold, `KEY:VALUE`, several values with commas, a `-` before what is not so, a value with blanks in
  quotes; `*` in an id or name stands for anything. Which keys there are is said with each list. A search of tasks looks for 20 ms a
  page, however many there are: a page may be empty and yet have a `next`.
- **Who may**: with `auth: tokens` each route takes a role ([access.md](access.md)); send `Authorization: Bearer TOKEN`.
- **Writes** are answered after their commit. Those that make something take an `Idempotency-Key`: of several requests with one key the
  first alone makes something. A body is `application/json`, at most 8 MiB; address and
  headers together are at most about 32 KiB. Beyond 1000 connections further ones wait.
- **Two at once**: a GET of one thing gives an `ETag`. A change of it with `If-Match: ETAG` is done only if nobody has changed it
  since; else it is 412, and `details` says who did what and when.
- **Readiness**: `/health` answers as soon as the process does; `/health/ready` is 200 when every DAG file has been read once, else 503,
  and names its parts.
"""


def type_of(schema):
    """A schema as a few words."""
    if "allOf" in schema:
        return type_of(schema["allOf"][0])
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name})"
    if "anyOf" in schema:
        return " or ".join(type_of(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " \\| ".join(f"`{word}`" if word else "nothing" for word in schema["enum"])
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        return ", ".join(kind)
    if kind == "array":
        return f"list of {type_of(schema['items'])}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {type_of(schema['additionalProperties'])}"
    if kind == "string" and schema.get("format") == "date-time":
        return "time"
    if kind == "integer" and "maximum" in schema and schema["maximum"] <= 1000000:
        return f"{schema['minimum']} to {schema['maximum']}"
    return kind


def cell(text):
    return (text or "").replace("|", "\\|").replace("\\\\|", "\\|")


def operation(method, path, said):
    yield f"### {method.upper()} {path}\n"
    role = said["x-role"]
    yield f"{said['summary'][0].upper()}{said['summary'][1:]}. " + (
        "For everybody.\n" if role == "anyone" else f"Role: {role}.\n")
    rows = [(f"`{p['name']}`", p["in"], type_of(p["schema"]), p.get("description", "")) for p in said["parameters"]
            if p["in"] != "path"]
    body = said.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    for name, member in (body or {}).get("properties", {}).items():
        must = " (must be there)" if name in body["required"] else ""
        kind = type_of(member).removesuffix(" or null")
        rows.append((f"`{name}`", "body", kind, member["description"] + must))
    if rows:
        yield "| | in | type | what |\n|---|---|---|---|"
        for name, where, kind, help_ in rows:
            yield f"| {name} | {where} | {cell(kind)} | {cell(help_)} |"
        yield ""
    for status, answer in said["responses"].items():
        if status >= "400" and status != "503":
            continue
        for kind, content in answer.get("content", {}).items():
            if status == "503" and "readiness" not in str(content):
                continue
            as_ = "" if kind == "application/json" else f" as `{kind}`"
            yield f"- {status}: {type_of(content['schema'])}{as_}"
    errors = [s for s in said["responses"] if "400" <= s < "500"]
    yield f"- errors: {', '.join(errors)}\n"


def api(document):
    lines = [HEAD, "## Routes\n"]
    for path, methods in document["paths"].items():
        for method, said in methods.items():
            lines += operation(method, path, said)
    events = document["paths"]["/api/v1/events"]["get"]["x-events"]
    lines.append("Events and their data: " + ", ".join(f"`{kind}` {type_of(schema)}" for kind, schema in events.items()) + ".\n")
    lines.append("## Shapes\n")
    for name, schema in document["components"]["schemas"].items():
        lines.append(f"### {name}\n\n{schema['description']}\n")
        if "enum" in schema:
            lines.append(", ".join(f"`{word}`" for word in schema["enum"]) + "\n")
            continue
        lines.append("| member | type |\n|---|---|")
        for member, kind in schema["properties"].items():
            maybe = "" if member in schema["required"] else " (may be absent)"
            lines.append(f"| `{member}` | {cell(type_of(kind))}{maybe} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


METRICS_HEAD = """# Figures for Prometheus

`GET /metrics` (role viewer) has these series. What counts since the start begins anew with each start of the scheduler. The answer is
made by one look of the scheduler's loop and a few small reads, so that it may be asked for every few seconds; the loop takes longer for
it the more tasks are queued. How large logs and artifacts are is not among them: ask the file system.

| series | type | labels | what |
|---|---|---|---|
"""


def read_metrics(text):
    """name -> [type, help, label names, samples]; an error as a text."""
    found, wrong, current = {}, [], None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            current, help_ = line[7:].split(" ", 1)
            found[current] = ["", help_, [], 0]
        elif line.startswith("# TYPE "):
            name, found[current][0] = line[7:].split(" ")
            if name != current:
                wrong.append(line)
        else:
            match = re.fullmatch(r"([a-z_]+)(?:\{(.*)\})? ([-+.0-9e]+|\+Inf)", line)
            if not match or re.sub("_(bucket|sum|count)$", "", match[1]) not in (current, match[1]) or not match[1].startswith(current):
                wrong.append(line)
                continue
            found[current][3] += 1
            for label in re.findall(r'([a-z]+)="', match[2] or ""):
                if label not in found[current][2] and label != "le":
                    found[current][2].append(label)
    return found, wrong


def metrics(found):
    rows = [f"| `{name}` | {kind} | {', '.join(labels)} | {cell(help_)} |" for name, (kind, help_, labels, _) in found.items()]
    return METRICS_HEAD + "\n".join(rows) + "\n"
