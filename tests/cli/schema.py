"""Messages as sink.py kept them, held against what is published of them:
Slack's incoming webhooks and Block Kit, PagerDuty's Events API v2,
Alertmanager's API v2 (postable alerts).  Prints what does not fit.

    schema.py FILE...
"""
import json
import re
import sys

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")


def text(where, t, most, kinds):
    if set(t) - {"type", "text", "emoji", "verbatim"} or t["type"] not in kinds:
        yield where + " is no text object"
    if not 1 <= len(t["text"]) <= most:
        yield "%s has %d characters" % (where, len(t["text"]))
    if re.search(r"<|>|&(?!amp;|lt;|gt;)", t["text"]):
        yield where + " is not escaped"


def slack(m):
    if set(m) - {"text", "blocks"} or not isinstance(m["text"], str):
        yield "unknown fields"
    if len(m["blocks"]) > 50:
        yield "too many blocks"
    for b in m["blocks"]:
        if b["type"] == "header":
            yield from text("header", b["text"], 150, ["plain_text"])
        elif b["type"] == "section":
            yield from text("section", b["text"], 3000, ["mrkdwn"])
        elif b["type"] == "context":
            if not 1 <= len(b["elements"]) <= 10:
                yield "elements of the context"
            for e in b["elements"]:
                yield from text("context", e, 3000, ["mrkdwn", "plain_text"])
        else:
            yield "block " + b["type"]


def pagerduty(m):
    if set(m) - {"routing_key", "event_action", "dedup_key", "client",
                 "client_url", "links", "images", "payload"}:
        yield "unknown fields"
    if not re.fullmatch(r"[A-Za-z0-9]{32}", m["routing_key"]):
        yield "routing_key"
    if m["event_action"] not in ("trigger", "acknowledge", "resolve"):
        yield "event_action"
    if not 1 <= len(m["dedup_key"]) <= 255:
        yield "dedup_key"
    p = m["payload"]
    if set(p) - {"summary", "source", "severity", "timestamp", "component",
                 "group", "class", "custom_details"}:
        yield "unknown fields of the payload"
    if not 1 <= len(p["summary"]) <= 1024:
        yield "summary"
    if not p["source"]:
        yield "source"
    if p["severity"] not in ("critical", "error", "warning", "info"):
        yield "severity"
    if "timestamp" in p and not TIME.match(p["timestamp"]):
        yield "timestamp"
    if not isinstance(p["custom_details"], dict):
        yield "custom_details"
    if len(json.dumps(m)) > 512 * 1024:
        yield "too large"


def alertmanager(m):
    for a in m:
        if set(a) - {"labels", "annotations", "startsAt", "endsAt",
                     "generatorURL"} or "alertname" not in a["labels"]:
            yield "fields"
        for k, v in list(a["labels"].items()) + list(a["annotations"].items()):
            if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", k) or \
                    not isinstance(v, str):
                yield "label " + k
        if not (TIME.match(a["startsAt"]) and TIME.match(a["endsAt"])):
            yield "times"


for f in sys.argv[1:]:
    d = json.load(open(f))
    m = json.loads(d["body"])
    check = {"/services": slack, "/v2/enqueue": pagerduty,
             "/api/v2/alerts": alertmanager}.get(
                 re.match(r"/services|.*", d["path"])[0])
    if check is None:
        continue
    if d["headers"].get("Content-Type") != "application/json":
        print(f, "Content-Type")
    if not d["body"].isascii():
        print(f, "is not ASCII")
    for wrong in check(m):
        print(f, check.__name__, wrong)
