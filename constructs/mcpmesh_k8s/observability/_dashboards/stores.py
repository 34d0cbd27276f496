"""This module is the dashboard of what keeps data: PostgreSQL, Redis and MinIO, as far as there are any."""

from __future__ import annotations

from mcpmesh_k8s.services import Minio, Postgres, Redis

from .overview import claims
from .parts import UP, Column, Dashboard, Figure, Graph, Metric, Panel, Row, Steps, Table
from .seen import EVERY, Seen, job, ratio


def stores(seen: Seen) -> Dashboard:
    """Whether stores answer, and how near they are to their limits."""
    return Dashboard(
        name="stores",
        title="Data stores",
        about="Whether what keeps data answers, how much it does, and how near it is to its limits.",
        rows=(
            *(Row(title=f"PostgreSQL: {store.name}", panels=_postgres(store)) for store in seen.postgreses),
            *(Row(title=f"Redis: {store.name}", panels=_redis(store)) for store in seen.redises),
            *(Row(title=f"MinIO: {store.name}", panels=_minio(store)) for store in seen.minios),
            Row(title="Claims", panels=_claims() if seen.kubelets else ()),
        ),
    )


def _postgres(store: Postgres) -> tuple[Panel, ...]:
    selector = job((store,))
    of = f'{selector}, datname!~"template.*|"'
    read = f"sum(rate(pg_stat_database_blks_read{{{of}}}[{EVERY}]))"
    hit = f"sum(rate(pg_stat_database_blks_hit{{{of}}}[{EVERY}]))"
    return (
        Figure(title="Answers", of=Metric(ask=f"min(pg_up{{{selector}}})"), words=UP, line=False),
        Figure(
            title="Connections",
            about="Of those it takes.",
            unit="percentunit",
            of=Metric(
                ask=f"sum(pg_stat_database_numbackends{{{selector}}}) / sum(pg_settings_max_connections{{{selector}}})"
            ),
            steps=Steps(yellow=0.6, red=0.8),
        ),
        Figure(
            title="Read from memory",
            about="Of all blocks that were read. Less than 99 %: it wants more memory.",
            unit="percentunit",
            of=Metric(ask=f"{hit} / ({hit} + {read} > 0)"),
            steps=Steps(yellow=0.99, red=0.9, little_is_bad=True),
        ),
        Figure(
            title="Longest transaction",
            about="It holds locks, and keeps dead rows.",
            unit="s",
            of=Metric(ask=f"max(pg_stat_activity_max_tx_duration{{{of}}})"),
            steps=Steps(yellow=300, red=1800),
        ),
        Figure(
            title="Deadlocks",
            about="Within an hour.",
            of=Metric(ask=f"sum(increase(pg_stat_database_deadlocks{{{of}}}[1h]))"),
            steps=Steps(yellow=1, red=5),
            decimals=0,
        ),
        Figure(title="Size", unit="bytes", of=Metric(ask=f"sum(pg_database_size_bytes{{{selector}}})")),
        Graph(
            title="Transactions",
            about="Those that were committed, and those that were rolled back.",
            unit="ops",
            of=(
                Metric(
                    ask=f"sum by (datname) (rate(pg_stat_database_xact_commit{{{of}}}[{EVERY}]))", legend="{{datname}}"
                ),
                Metric(
                    ask=f"sum by (datname) (rate(pg_stat_database_xact_rollback{{{of}}}[{EVERY}])) > 0",
                    legend="{{datname}} rolled back",
                ),
            ),
        ),
        Graph(
            title="Connections by database",
            of=(Metric(ask=f"sum by (datname) (pg_stat_database_numbackends{{{of}}})", legend="{{datname}}"),),
            stacked=True,
        ),
        Table(
            title="Tables",
            about="Dead rows are room that vacuum gives back.",
            keys=(("datname", "Database"), ("relname", "Table")),
            columns=(
                Column(
                    title="Rows", of=Metric(ask=f"sum by (datname, relname) (pg_stat_user_tables_n_live_tup{{{of}}})")
                ),
                Column(
                    title="Dead rows",
                    of=Metric(ask=f"sum by (datname, relname) (pg_stat_user_tables_n_dead_tup{{{of}}})"),
                ),
            ),
        ),
    )


def _redis(store: Redis) -> tuple[Panel, ...]:
    selector = job((store,))
    found = f"sum(rate(redis_keyspace_hits_total{{{selector}}}[{EVERY}]))"
    missed = f"sum(rate(redis_keyspace_misses_total{{{selector}}}[{EVERY}]))"
    return (
        Figure(title="Answers", of=Metric(ask=f"min(redis_up{{{selector}}})"), words=UP, line=False),
        Figure(
            title="Memory",
            about="Of what it may hold. It evicts nothing: when full it refuses writes.",
            unit="percentunit",
            of=Metric(ask=f"max(redis_memory_used_bytes{{{selector}}} / (redis_memory_max_bytes{{{selector}}} > 0))"),
            steps=Steps(yellow=0.7, red=0.85),
        ),
        Figure(
            title="Clients",
            about="Of those it takes.",
            unit="percentunit",
            of=Metric(ask=f"max(redis_connected_clients{{{selector}}} / redis_max_clients{{{selector}}})"),
            steps=Steps(yellow=0.6, red=0.8),
        ),
        Figure(
            title="Found",
            about="Of the keys that were asked for.",
            unit="percentunit",
            of=Metric(ask=f"{found} / ({found} + {missed} > 0)"),
            none="not asked",
        ),
        Figure(
            title="Refused clients",
            about="Within an hour, since it had all that it takes.",
            of=Metric(ask=f"sum(increase(redis_rejected_connections_total{{{selector}}}[1h]))"),
            steps=Steps(red=1),
            decimals=0,
        ),
        Figure(title="Keys", of=Metric(ask=f"sum(redis_db_keys{{{selector}}})"), decimals=0),
        Graph(
            title="Memory in use",
            unit="bytes",
            of=(
                Metric(ask=f"sum(redis_memory_used_bytes{{{selector}}})", legend="used"),
                Metric(ask=f"sum(redis_memory_max_bytes{{{selector}}}) > 0", legend="most", limit=True),
            ),
        ),
        Graph(
            title="Commands",
            unit="ops",
            of=(Metric(ask=f"sum(rate(redis_commands_processed_total{{{selector}}}[{EVERY}]))", legend="commands"),),
        ),
        Graph(
            title="Clients that are connected",
            of=(
                Metric(ask=f"sum(redis_connected_clients{{{selector}}})", legend="connected"),
                Metric(ask=f"sum(redis_blocked_clients{{{selector}}})", legend="waiting for a key"),
            ),
        ),
    )


def _minio(store: Minio) -> tuple[Panel, ...]:
    selector = job((store,))
    free, whole = (f"sum(minio_cluster_capacity_usable_{word}_bytes{{{selector}}})" for word in ("free", "total"))
    requests = f"minio_s3_requests_total{{{selector}}}"
    return (
        Figure(
            title="Drives offline",
            of=Metric(ask=f"sum(minio_cluster_drive_offline_total{{{selector}}})"),
            steps=Steps(red=1),
            line=False,
        ),
        Figure(
            title="Full",
            about="When full it refuses uploads.",
            unit="percentunit",
            of=Metric(ask=f"1 - {ratio(free, whole)}"),
            steps=Steps(yellow=0.7, red=0.85),
        ),
        Figure(title="Objects", of=Metric(ask=f"sum(minio_cluster_usage_object_total{{{selector}}})"), decimals=0),
        Figure(title="Their size", unit="bytes", of=Metric(ask=f"sum(minio_cluster_usage_total_bytes{{{selector}}})")),
        Figure(
            title="Failed requests",
            about="Answered with 5xx within a day.",
            of=Metric(ask=f"sum(increase(minio_s3_requests_5xx_errors_total{{{selector}}}[24h])) or vector(0)"),
            steps=Steps(yellow=1),
            decimals=0,
        ),
        Figure(
            title="Refused requests",
            about="Their signature or key was wrong, within a day.",
            of=Metric(ask=f"sum(increase(minio_s3_requests_rejected_auth_total{{{selector}}}[24h])) or vector(0)"),
            steps=Steps(yellow=1),
            decimals=0,
        ),
        Graph(
            title="Requests",
            unit="reqps",
            of=(Metric(ask=f"sum by (api) (rate({requests}[{EVERY}]))", legend="{{api}}"),),
            stacked=True,
            width=12,
        ),
        Graph(
            title="Bytes",
            unit="Bps",
            of=(
                Metric(ask=f"sum(rate(minio_s3_traffic_received_bytes{{{selector}}}[{EVERY}]))", legend="received"),
                Metric(ask=f"sum(rate(minio_s3_traffic_sent_bytes{{{selector}}}[{EVERY}]))", legend="sent"),
            ),
            width=12,
        ),
    )


def _claims() -> tuple[Panel, ...]:
    used = "max by (persistentvolumeclaim) (kubelet_volume_stats_used_bytes)"
    return (
        claims(),
        Graph(
            title="Used",
            unit="bytes",
            of=(Metric(ask=used, legend="{{persistentvolumeclaim}}"),),
            width=16,
        ),
    )
