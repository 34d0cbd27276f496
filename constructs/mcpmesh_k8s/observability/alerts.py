"""This module is the alerts that hold for any application: about its pods, its storage, and what watches it.

What is about one program stands with that program. Selectors name no namespace: Prometheus knows one alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from mcpmesh_k8s.kubernetes import Alert, Severity

WATCHDOG = Alert(
    name="Watchdog",
    expression="vector(1)",
    for_minutes=0,
    severity=Severity.NONE,
    summary="Alerts arrive",
    description="It is always there. A receiver outside the cluster calls people when it stops coming.",
)


def of_targets(jobs: tuple[str, ...]) -> tuple[Alert, ...]:
    """What shows that nobody knows how something is.

    Args:
        jobs: The jobs that have a target at any time.
    """
    missing = " or ".join(f'absent(up{{job="{job}"}})' for job in jobs)
    return (
        Alert(
            name="TargetDown",
            expression='up{job!~"check-.*"} == 0',
            for_minutes=10,
            severity=Severity.TICKET,
            summary="{{ $labels.job }} of {{ $labels.instance }} gives no metrics",
            description="It is there, and Prometheus has not been able to read its metrics for ten minutes.",
        ),
        Alert(
            name="TargetMissing",
            expression=missing,
            for_minutes=15,
            severity=Severity.TICKET,
            summary="No pod of {{ $labels.job }} is watched",
            description="Prometheus has found no pod to ask for fifteen minutes.",
        ),
    )


def of_collection(jobs: tuple[str, ...]) -> tuple[Alert, ...]:
    """What Prometheus knows of its own work.

    Args:
        jobs: The jobs that have a target at any time.
    """
    return (
        WATCHDOG,
        *of_targets(jobs),
        Alert(
            name="PrometheusNotWorking",
            # Alerts are dropped for a moment whenever Alertmanager is deployed: only what goes on counts.
            expression=(
                "increase(prometheus_rule_evaluation_failures_total[5m]) > 0 "
                "or increase(prometheus_notifications_dropped_total[5m]) > 0 "
                "or increase(prometheus_tsdb_compactions_failed_total[5m]) > 0"
            ),
            for_minutes=15,
            severity=Severity.TICKET,
            summary="Prometheus cannot judge, tell or store",
            description="Rules fail, alerts are dropped, or samples cannot be stored. Other alerts may be silent.",
        ),
    )


OF_OBJECTS = (
    Alert(
        name="PodCrashLooping",
        expression=(
            "max by (pod, container) (max_over_time("
            '{__name__=~"kube_pod_(init_)?container_status_waiting_reason", reason="CrashLoopBackOff"}[5m])) == 1'
        ),
        for_minutes=5,
        severity=Severity.PAGE,
        summary="{{ $labels.container }} of {{ $labels.pod }} crashes again and again",
        description="The container ends each time it is started, and is started ever more rarely.",
    ),
    Alert(
        name="PodRestarting",
        expression="increase(kube_pod_container_status_restarts_total[1h]) > 3",
        for_minutes=5,
        severity=Severity.TICKET,
        summary="{{ $labels.container }} of {{ $labels.pod }} restarts",
        description="It was started anew {{ $value | printf `%.0f` }} times within an hour.",
    ),
    Alert(
        name="ContainerOutOfMemory",
        expression=(
            'kube_pod_container_status_last_terminated_reason{reason="OOMKilled"} == 1 '
            "and on (pod, container) increase(kube_pod_container_status_restarts_total[15m]) > 0"
        ),
        for_minutes=0,
        severity=Severity.TICKET,
        summary="{{ $labels.container }} of {{ $labels.pod }} was killed for its memory",
        description="It wanted more than its limit within the last fifteen minutes.",
    ),
    Alert(
        name="PodNotReady",
        expression=(
            '(sum by (pod) (kube_pod_status_ready{condition=~"false|unknown"}) == 1 '
            # What has ended, or was driven off its node, is an object and no more.
            'and on (pod) kube_pod_status_phase{phase=~"Pending|Running|Unknown"} == 1) '
            # With its node, so that who is called about a lost node gets no ticket about each pod that was on it.
            "* on (pod) group_left (node) max by (pod, node) (kube_pod_info)"
        ),
        for_minutes=15,
        severity=Severity.TICKET,
        summary="{{ $labels.pod }} is not ready",
        description="It has not been ready for fifteen minutes: it waits, finds no node, or fails its probe.",
    ),
    Alert(
        name="WorkloadUnavailable",
        expression=(
            "label_replace(kube_deployment_spec_replicas > 0 and kube_deployment_status_replicas_available == 0, "
            '"workload", "$1", "deployment", "(.+)") or '
            "label_replace(kube_statefulset_replicas > 0 and kube_statefulset_status_replicas_ready == 0, "
            '"workload", "$1", "statefulset", "(.+)")'
        ),
        # A store that moves to another node waits for its disk, some two minutes.
        for_minutes=5,
        severity=Severity.PAGE,
        summary="{{ $labels.workload }} is down",
        description="None of its {{ $value }} pods has been available for five minutes.",
    ),
    Alert(
        name="RolloutStuck",
        expression=(
            'label_replace(kube_deployment_status_condition{condition="Progressing", status="false"} == 1, '
            '"workload", "$1", "deployment", "(.+)") or '
            "label_replace(kube_statefulset_status_replicas_updated < kube_statefulset_replicas, "
            '"workload", "$1", "statefulset", "(.+)")'
        ),
        for_minutes=15,
        severity=Severity.TICKET,
        summary="The roll-out of {{ $labels.workload }} does not end",
        description="Its new pods have not come up. The old ones still serve, where several run.",
    ),
    Alert(
        name="JobFailed",
        # The Job's last word: of a pod that failed, it may start another.
        expression='kube_job_failed{condition="true"} == 1',
        for_minutes=5,
        severity=Severity.TICKET,
        summary="Job {{ $labels.job_name }} failed",
        description="It has tried as often as it may, and starts no more pods.",
    ),
    Alert(
        name="AutoscalerAtMaximum",
        expression=(
            "kube_horizontalpodautoscaler_status_current_replicas >= kube_horizontalpodautoscaler_spec_max_replicas"
        ),
        for_minutes=30,
        severity=Severity.TICKET,
        summary="{{ $labels.horizontalpodautoscaler }} runs as many pods as it may",
        description="It has run {{ $value }} pods for half an hour. More load makes it slower.",
    ),
)
"""What kube-state-metrics shows."""

NODE_LOST = Alert(
    name="NodeLost",
    # When no kubelet answers, it is our way to them that is closed: see TargetDown.
    expression='up{job="kubelet"} == 0 and on () count(up{job="kubelet"} == 1) > 0',
    for_minutes=5,
    severity=Severity.PAGE,
    summary="Node {{ $labels.node }} does not answer",
    description="Its kubelet has been silent for five minutes, and others are not. Its pods start elsewhere.",
)

OF_CONTAINERS = (
    Alert(
        name="ContainerNearMemoryLimit",
        expression=(
            'max by (pod, container) (container_memory_working_set_bytes{container!=""}) / on (pod, container) '
            'max by (pod, container) (kube_pod_container_resource_limits{resource="memory"}) > 0.9'
        ),
        for_minutes=15,
        severity=Severity.TICKET,
        summary="{{ $labels.container }} of {{ $labels.pod }} nears its memory limit",
        description="It uses {{ $value | humanizePercentage }} of it. At the limit it is killed.",
    ),
    Alert(
        name="ContainerNearCpuLimit",
        expression=(
            'sum by (pod, container) (rate(container_cpu_usage_seconds_total{container!=""}[5m])) '
            '/ on (pod, container) max by (pod, container) (kube_pod_container_resource_limits{resource="cpu"}) > 0.9'
        ),
        for_minutes=30,
        severity=Severity.TICKET,
        summary="{{ $labels.container }} of {{ $labels.pod }} nears its CPU limit",
        description="It uses {{ $value | humanizePercentage }} of it. At the limit it is slowed down.",
    ),
    Alert(
        name="ClaimFillingUp",
        expression=(
            "kubelet_volume_stats_available_bytes / kubelet_volume_stats_capacity_bytes < 0.3 "
            "and predict_linear(kubelet_volume_stats_available_bytes[6h], 3 * 24 * 3600) < 0"
        ),
        for_minutes=60,
        severity=Severity.TICKET,
        summary="Claim {{ $labels.persistentvolumeclaim }} will be full within three days",
        description="{{ $value | humanizePercentage }} of it is free, and it shrinks as in the last six hours.",
    ),
    Alert(
        name="ClaimAlmostFull",
        expression=(
            "kubelet_volume_stats_available_bytes / kubelet_volume_stats_capacity_bytes < 0.05 "
            "or kubelet_volume_stats_inodes_free / (kubelet_volume_stats_inodes > 0) < 0.05"
        ),
        for_minutes=5,
        severity=Severity.PAGE,
        summary="Claim {{ $labels.persistentvolumeclaim }} is almost full",
        description="{{ $value | humanizePercentage }} of its space or of its inodes is free.",
    ),
)
"""What kubelets show of the application's containers and claims."""

OF_CHECKS = (
    Alert(
        name="ServiceNotAnswering",
        expression='probe_success{component!~"agent|exposure"} == 0',
        for_minutes=5,
        severity=Severity.PAGE,
        summary="{{ $labels.check }} does not answer",
        description="It has been asked every half minute, and gave no good answer for five minutes.",
    ),
    Alert(
        name="AgentNotInMesh",
        # The registry alone knows, so its outage says nothing of agents; when it is back, they have time to come back.
        expression='probe_success{component="agent"} == 0 unless on () probe_success{component="registry"} == 0',
        for_minutes=5,
        severity=Severity.PAGE,
        summary="Agent {{ $labels.check }} is not in the mesh",
        description="The registry does not know it, or takes it for unhealthy: what needs its tools fails.",
    ),
)
"""What the blackbox exporter shows of the application's own services."""

OF_ADDRESSES = (
    Alert(
        name="PublicAddressUnreachable",
        expression='probe_success{component="exposure"} == 0',
        for_minutes=5,
        severity=Severity.PAGE,
        summary="Nobody reaches the public address",
        description="It has given no good answer for five minutes, by HTTPS and from inside the cluster.",
    ),
)
"""What it shows of addresses outside."""


_TICKET, _PAGE = 14 * 24 * 3600, 48 * 3600
"""Seconds before the end of a certificate, by which one that is renewed 30 days before should have been."""


def of_certificates(renewed: Mapping[str, int]) -> tuple[Alert, ...]:
    """What it shows of whoever shows a certificate: addresses outside, and servers of the application.

    Args:
        renewed: For each check of a certificate, how many seconds before its end it is renewed, where that is known.
    """
    return (
        Alert(
            name="CertificateExpiring",
            expression=_ends_within(_TICKET, {name: before // 2 for name, before in renewed.items()}),
            for_minutes=60,
            severity=Severity.TICKET,
            summary="A certificate ends soon: {{ $labels.check }}",
            description="It ends in {{ $value | humanizeDuration }}: not renewed, or not shown yet; or its CA does.",
        ),
        Alert(
            name="CertificateExpired",
            expression=_ends_within(_PAGE, {name: before // 4 for name, before in renewed.items()}),
            for_minutes=5,
            severity=Severity.PAGE,
            summary="A certificate is about to end: {{ $labels.check }}",
            description="It ends in {{ $value | humanizeDuration }}. Then nobody who verifies it connects.",
        ),
    )


def _ends_within(usual: int, sooner: Mapping[str, int]) -> str:
    """That a certificate ends, or one of those that it is believed by, down to the CA's own.

    Behind a name there may be several pods, of which one has an old one: it is asked now and then. What is asked of the
    registry, of agents too, shows the registry's, which has a check of its own.
    """
    known = ("probe_ssl_earliest_cert_expiry", "probe_ssl_last_chain_expiry_timestamp_seconds")
    groups = dict[int, list[str]]()
    for check, seconds in sooner.items():
        if seconds < usual:
            groups.setdefault(seconds, []).append(check)
    named = "|".join(name for names in groups.values() for name in names)
    of = {'component!~"agent|registry"' + (f', check!~"{named}"' if named else ""): usual}
    of |= {f'check=~"{"|".join(names)}"': seconds for seconds, names in groups.items()}
    return " or ".join(
        f"min_over_time({name}{{{which}}}[1h]) - time() < {within}" for which, within in of.items() for name in known
    )
