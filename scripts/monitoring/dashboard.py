#!/usr/bin/env python3
"""dashboard.py - the Grafana dashboard, from the table below.

    python3 dashboard.py >dashboard.json

Import dashboard.json in Grafana (9 or later), or put it in a folder that is
provisioned; it asks for the Prometheus data source.  --queries prints the
queries alone, one a line.  Each panel is a line: its kind, title, unit,
thresholds (green below the first, then orange, then red; backwards for what
should be high; or colours and where they begin), and its queries with their legends.
"""
import json
import sys

SET = 'set=~"$set"'
WHO = "{{set}} {{store}}"
NOW = "time() - "

ROWS = [
    ("Operations", [
        ("stat", "Primaries", "none",
         [("red", None), ("green", 1), ("red", 2)], [
            ("drtools_primaries{%s}" % SET, "{{set}}")]),
        ("stat", "Servers up", "percentunit", (0.99, 0.5), [
            ("avg by (set) (drtools_server_up{%s})" % SET, "{{set}}")]),
        ("stat", "Alerts firing", "none", (1, 3), [
            ('count(ALERTS{alertstate="firing", alertname=~"Postgres.*"}) '
             "or vector(0)", "")]),
        ("stat", "Last backup", "s", (93600, 180000), [
            (NOW + "drtools:backup_last_success:timestamp_seconds{%s}" % SET,
             "{{set}}")]),
        ("stat", "Status of the last backup", "none", (1, 4), [
            ("max by (set) (drtools_backup_status{%s} "
             "or drtools_backup_push_status{%s})" % (SET, SET), "{{set}}")]),
        ("stat", "Gaps in the archive", "none", (1, 1), [
            ("max by (set, store) (drtools_archive_gaps{%s})" % SET, WHO)]),
        ("time", "Replay lag", "bytes", (268435456, 4294967296), [
            ("drtools_replication_replay_lag_bytes{%s}" % SET,
             "{{standby}}")]),
        ("time", "Replay lag in seconds", "s", (30, 300), [
            ("drtools_replication_replay_lag_seconds{%s}" % SET,
             "{{standby}}"),
            ("drtools_replication_heartbeat_lag_seconds{%s}" % SET,
             "{{standby}} heartbeat")]),
        ("time", "Standbys that stream", "none", None, [
            ("drtools_replication_standby_up{%s}" % SET, "{{standby}}")]),
        ("time", "Slots: WAL until they are lost", "bytes", None, [
            ("drtools_slot_safe_wal_bytes{%s}" % SET, "{{slot}}"),
            ("drtools_wal_receive_safe_wal_size_bytes{%s}" % SET,
             "{{slot}}")]),
        ("time", "Slots: WAL held back", "bytes", None, [
            ("drtools_slot_retained_bytes{%s}" % SET, "{{slot}}")]),
        ("time", "WAL that waits to be archived", "none", None, [
            ("drtools_archiver_ready_files{%s}" % SET, "{{server}}"),
            ("drtools_wal_push_waiting_files{%s}" % SET, "{{set}} queue")]),
        ("time", "WAL that waits to be stored", "s", (60, 300), [
            ("drtools_wal_receive_lag_seconds{%s}" % SET, "{{set}}")]),
        ("time", "Failures of archive_command", "none", None, [
            ("increase(drtools_archiver_failures_total{%s}[5m])" % SET,
             "{{server}}")]),
    ]),
    ("Executive", [
        ("stat", "Availability, 30 days", "percentunit", (0.999, 0.99), [
            ("drtools:availability:ratio30d{%s}" % SET, "{{set}}")]),
        ("stat", "Downtime left of what the tier allows", "percentunit",
         (0.25, 0), [
            ("drtools:error_budget:left{%s}" % SET,
             "{{set}}, tier {{tier}}")]),
        ("stat", "Would be lost now (RPO)", "s", None, [
            ("max by (set, store) (drtools_rpo_seconds{%s})" % SET, WHO)]),
        ("stat", "A restore would take (RTO)", "s", None, [
            ("max by (set, store) (drtools_rto_seconds{%s})" % SET, WHO)]),
        ("stat", "RPO against its objective", "percentunit", (0.8, 1), [
            ("drtools:rpo:ratio{%s}" % SET, WHO)]),
        ("stat", "RTO against its objective", "percentunit", (0.8, 1), [
            ("drtools:rto:ratio{%s}" % SET, WHO)]),
        ("stat", "Last verified", "s", (691200, 1209600), [
            (NOW + "drtools:verify_last:timestamp_seconds{%s}" % SET,
             "{{set}}")]),
        ("stat", "Last restored", "s", (3024000, 7776000), [
            (NOW + "drtools:restore_last:timestamp_seconds{%s}" % SET,
             "{{set}}")]),
        ("time", "Availability", "percentunit", None, [
            ("drtools:availability:ratio1d{%s}" % SET, "{{set}}, 1 day"),
            ("drtools:availability:ratio30d{%s}" % SET, "{{set}}, 30 days"),
            ("drtools:availability_objective:ratio{%s}" % SET,
             "{{set}}, agreed")]),
        ("time", "RPO and RTO", "s", None, [
            ("drtools_rpo_seconds{%s}" % SET, "RPO " + WHO),
            ("drtools_rto_seconds{%s}" % SET, "RTO " + WHO)]),
    ]),
    ("Security", [
        ("stat", "Damaged or forged", "none", (1, 1), [
            ("max by (set) (drtools_verify_damaged{%s})" % SET, "{{set}}")]),
        ("stat", "Age of the signing key", "s", (31536000, 34560000), [
            (NOW + "drtools_sign_key_timestamp_seconds{%s}" % SET,
             "{{set}}")]),
        ("stat", "Age of the recipients", "s", (31536000, 34560000), [
            (NOW + "drtools_recipients_timestamp_seconds{%s}" % SET,
             "{{set}}")]),
        ("stat", "Stores behind", "none", (1, 2), [
            ("sum by (set) (drtools_wal_receive_store_behind{%s} "
             "or drtools_wal_push_store_failed{%s})" % (SET, SET),
             "{{set}}")]),
        ("time", "Unlike the week before (1 is as usual)", "none", None, [
            ("drtools_backup_size_change_ratio{%s}" % SET, "size " + WHO),
            ("drtools_backup_duration_change_ratio{%s}" % SET,
             "duration " + WHO),
            ("drtools_wal_change_ratio{%s}" % SET, "WAL " + WHO)]),
        ("time", "Not copied: damaged, or not signed for", "none", None, [
            ("drtools_mirror_damaged_objects{%s}" % SET,
             "{{source}} to {{target}}")]),
        ("time", "Objects whose names nobody knows", "none", None, [
            ("drtools_prune_unknown_objects{%s}" % SET, "{{set}}")]),
        ("time", "Status of dr-verify", "none", None, [
            ("drtools_verify_status{%s}" % SET,
             "{{set}} deep={{deep}}")]),
    ]),
    ("Performance", [
        ("time", "Size of backups", "bytes", None, [
            ("drtools_backup_stored_bytes{%s}" % SET, "{{set}} stored"),
            ("drtools_backup_raw_bytes{%s}" % SET, "{{set}} raw"),
            ("drtools:backup_stored_bytes:in30d{%s}" % SET,
             "{{set}} in 30 days")]),
        ("time", "Duration of backups", "s", None, [
            ("drtools_backup_duration_seconds{%s}" % SET, "{{set}}"),
            ("drtools_backup_push_duration_seconds{%s}" % SET,
             "{{set}} push alone")]),
        ("time", "Restore: bytes a second", "Bps", None, [
            ("drtools_restore_bytes{%s} / drtools_restore_seconds{%s}"
             % (SET, SET), "{{set}}")]),
        ("time", "WAL written", "Bps", None, [
            ("rate(drtools_server_wal_lsn_bytes{%s}[5m])" % SET,
             "{{server}}")]),
        ("time", "Duration of dr-wal push", "s", None, [
            ("drtools_wal_push_duration_seconds{%s}" % SET, "{{set}}")]),
        ("time", "Free in the stores", "bytes", None, [
            ("drtools_store_free_bytes{%s}" % SET, "{{store}}"),
            ("drtools:store_free_bytes:in7d{%s}" % SET,
             "{{store}} in 7 days")]),
        ("time", "Connecting takes", "s", None, [
            ("drtools_probe_connect_seconds{%s}" % SET, "{{server}}")]),
        ("time", "Mirror: last run", "s", None, [
            ("drtools_mirror_duration_seconds{%s}" % SET,
             "{{source}} to {{target}}")]),
    ]),
]


def steps(limits):
    if limits is None:
        return [{"color": "green", "value": None}]
    if isinstance(limits, list):
        return [{"color": c, "value": v} for c, v in limits]
    low, high = limits
    if low <= high:
        colors = ["green", "orange", "red"]
    else:
        low, high = high, low
        colors = ["red", "orange", "green"]
    return [{"color": colors[0], "value": None},
            {"color": colors[1], "value": low},
            {"color": colors[2], "value": high}]


def panel(number, kind, title, unit, limits, queries, x, y):
    source = {"type": "prometheus", "uid": "${source}"}
    p = {
        "id": number,
        "type": {"stat": "stat", "time": "timeseries"}[kind],
        "title": title,
        "datasource": source,
        "gridPos": {"x": x, "y": y, "w": 4 if kind == "stat" else 8,
                    "h": 4 if kind == "stat" else 7},
        "fieldConfig": {
            "defaults": {"unit": unit, "noValue": "unknown",
                         "thresholds": {"mode": "absolute",
                                        "steps": steps(limits)}},
            "overrides": []},
        "targets": [{"refId": chr(ord("A") + i), "datasource": source,
                     "expr": expr, "legendFormat": legend or title,
                     "instant": kind == "stat", "range": kind != "stat"}
                    for i, (expr, legend) in enumerate(queries)],
    }
    if kind == "stat":
        p["options"] = {"colorMode": "background", "graphMode": "none",
                        "textMode": "value_and_name",
                        "reduceOptions": {"calcs": ["lastNotNull"]}}
    return p


def dashboard():
    panels, number, y = [], 0, 0
    for title, row in ROWS:
        number += 1
        panels.append({"id": number, "type": "row", "title": title,
                       "collapsed": False, "panels": [],
                       "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}})
        y += 1
        x = height = 0
        for p in row:
            number += 1
            made = panel(number, *p, x, y)
            at = made["gridPos"]
            if x + at["w"] > 24 or (height and at["h"] != height):
                x, y = 0, y + height
                at["x"], at["y"] = x, y
            x, height = x + at["w"], at["h"]
            panels.append(made)
        y += height
    variable = {"label": "Set", "name": "set", "type": "query",
                "datasource": {"type": "prometheus", "uid": "${source}"},
                "query": {"query": 'label_values({__name__=~"drtools_.+"}, '
                                   "set)", "refId": "set"},
                "includeAll": True, "allValue": ".*", "multi": True,
                "current": {"text": "All", "value": "$__all"}, "refresh": 2,
                "sort": 1}
    return {
        "uid": "drtools", "title": "PostgreSQL: backup and recovery",
        "tags": ["postgresql", "drtools"], "schemaVersion": 37, "version": 1,
        "editable": True, "refresh": "1m", "timezone": "utc",
        "time": {"from": "now-24h", "to": "now"},
        "annotations": {"list": [{
            "name": "Alerts", "enable": True, "iconColor": "red",
            "datasource": {"type": "prometheus", "uid": "${source}"},
            "expr": 'ALERTS{alertstate="firing", severity="critical", '
                    'alertname=~"Postgres.*"}',
            "titleFormat": "{{alertname}}", "textFormat": "{{set}}"}]},
        "templating": {"list": [
            {"label": "Source", "name": "source", "type": "datasource",
             "query": "prometheus", "current": {}}, variable]},
        "panels": panels,
    }


if __name__ == "__main__":
    if sys.argv[1:] == ["--queries"]:
        for _, row in ROWS:
            for *_, queries in row:
                for expr, _ in queries:
                    print(expr)
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        json.dump(dashboard(), sys.stdout, indent=1)
        print()
