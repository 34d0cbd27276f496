"""What a live cluster would refuse or lose is named, and what it takes is let through.

The pairs of documents are the rules, one by one. What lies in dist/ is then changed field by field, against lists of
what Kubernetes lets change, so that neither a rule nor a field of what we render can be forgotten.
"""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from conftest import Manifests, at_each, grid
from environments import EVERY, SHARED
from mcpmesh_k8s.operations.programs import OperationError
from mcpmesh_k8s.operations.upgrade import breaking_changes, compare, main, notes_on
from mesh_harness import find
from reading import documents_of

ROOT = Path(__file__).parent.parent
Object = dict[str, Any]

NAMESPACE = """
apiVersion: v1
kind: Namespace
metadata: {name: shop}
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web, tier: front}}
    spec:
      containers:
        - name: web
          image: acme/web:1.4.2
          volumeMounts:
            - {name: data, mountPath: /data}
            - {name: tmp, mountPath: /tmp}
            - {name: conf, mountPath: /etc/web}
      volumes:
        - {name: data, persistentVolumeClaim: {claimName: web}}
        - {name: tmp, emptyDir: {}}
        - {name: conf, configMap: {name: web}}
"""
STATEFUL_SET = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  replicas: 1
  serviceName: db-pods
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers:
        - name: db
          image: postgres:15.14-alpine3.22
          volumeMounts: [{name: data, mountPath: /var/lib/postgresql/data}]
  volumeClaimTemplates:
    - metadata: {name: data, labels: {app: db}}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Gi}}}
"""
CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {accessModes: [ReadWriteOnce], storageClassName: fast, resources: {requests: {storage: 10Gi}}}
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""
HEADLESS = """
apiVersion: v1
kind: Service
metadata: {name: db-pods, namespace: shop}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 5432}]}
"""
BALANCER = """
apiVersion: v1
kind: Service
metadata: {name: door, namespace: shop}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}
"""
JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: seed, namespace: shop}
spec:
  backoffLimit: 3
  template:
    metadata: {labels: {app: seed}}
    spec: {restartPolicy: Never, containers: [{name: seed, image: "acme/seed:1.0.0"}]}
"""
PRIORITY = """
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: high}
value: 1000
"""
STORAGE_CLASS = """
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast}
provisioner: acme.example.com
parameters: {type: ssd}
"""
BINDING = """
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
"""
QUOTA = """
apiVersion: v1
kind: ResourceQuota
metadata: {name: shop, namespace: shop}
spec: {hard: {pods: "10"}}
"""
IMMUTABLE = """
apiVersion: v1
kind: ConfigMap
metadata: {name: fixed, namespace: shop}
immutable: true
data: {key: one}
"""
IMMUTABLE_SECRET = """
apiVersion: v1
kind: Secret
metadata: {name: hidden, namespace: shop}
immutable: true
data: {key: aHVudGVyMg==}
"""
EXTERNAL_SECRET = """
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: keys, namespace: shop}
spec: {target: {name: keys}, data: [{secretKey: a, remoteRef: {key: a}}]}
"""
INGRESS = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: shop}
spec: {rules: [{host: shop.example.com}, {host: old.example.com}]}
"""
ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop, namespace: shop}
spec: {hostnames: [shop.example.com, old.example.com]}
"""
SEALED = """
apiVersion: bitnami.com/v1alpha1
kind: SealedSecret
metadata: {name: sealed, namespace: shop}
spec: {encryptedData: {a: AgBy}}
"""
APPLICATION = """
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: shop, namespace: argocd}
spec: {project: shop, destination: {namespace: shop, name: in-cluster}, source: {targetRevision: main}}
"""
PROJECT = """
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: shop, namespace: argocd}
spec:
  clusterResourceWhitelist: [{group: "", kind: Namespace}, {group: scheduling.k8s.io, kind: PriorityClass}]
  namespaceResourceWhitelist: [{group: networking.k8s.io, kind: Ingress}, {group: "", kind: Pod}]
"""
MANY = """
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: shops, namespace: argocd}
spec: {generators: []}
"""
EVERYTHING = (
    *(NAMESPACE, DEPLOYMENT, STATEFUL_SET, CLAIM, SERVICE, HEADLESS, BALANCER, JOB, PRIORITY, STORAGE_CLASS, BINDING),
    *(QUOTA, IMMUTABLE, IMMUTABLE_SECRET, EXTERNAL_SECRET, INGRESS, ROUTE, SEALED, APPLICATION),
    *(PROJECT, MANY),
)


def read(*documents: str) -> list[Object]:
    return [documents_of(document)[0] for document in documents]


def found(before: Sequence[Mapping[str, object]], after: Sequence[Mapping[str, object]]) -> list[str]:
    return [change.allowance for change in breaking_changes(before, after)]


def replaced(document: str, *pairs: str) -> str:
    """A document with each odd text replaced by the even one after it; all must be there."""
    for old, new in zip(pairs[::2], pairs[1::2], strict=True):
        assert document.count(old) == 1, f"{old!r} stands {document.count(old)} times in {document}"
        document = document.replace(old, new)
    return document


CLAIMED = "{name: data, persistentVolumeClaim: {claimName: web}}"
REFUSED = {
    # What the API server refuses.
    "Deployment/web:selector": (DEPLOYMENT, "{matchLabels: {app: web}}", "{matchLabels: {app: web, tier: front}}"),
    "StatefulSet/db:selector": (STATEFUL_SET, "matchLabels: {app: db}", "matchLabels: {app: base}"),
    "StatefulSet/db:serviceName": (STATEFUL_SET, "db-pods", "db"),
    "StatefulSet/db:podManagementPolicy": (STATEFUL_SET, "replicas: 1", "podManagementPolicy: Parallel"),
    "StatefulSet/db:volumeClaimTemplates": (STATEFUL_SET, "10Gi", "20Gi"),
    "StatefulSet/db:volumeClaimTemplates label": (
        STATEFUL_SET,
        "labels: {app: db}}\n      spec: {acc",
        "}\n      spec: {acc",
    ),
    "StatefulSet/db:volumeClaimTemplates class": (
        STATEFUL_SET,
        "[ReadWriteOnce],",
        "[ReadWriteOnce], storageClassName: fast,",
    ),
    "PersistentVolumeClaim/web:storage": (CLAIM, "10Gi", "9Gi"),
    "PersistentVolumeClaim/web:storageClassName": (CLAIM, "storageClassName: fast, ", ""),
    "PersistentVolumeClaim/web:accessModes": (CLAIM, "ReadWriteOnce", "ReadWriteMany"),
    "PersistentVolumeClaim/web:volumeMode": (
        CLAIM,
        "storageClassName: fast",
        "storageClassName: fast, volumeMode: Block",
    ),
    "Service/web:clusterIP": (SERVICE, "{selector", "{clusterIP: None, selector"),
    "Service/db-pods:clusterIP": (HEADLESS, "clusterIP: None, ", ""),
    "Service/db-pods:clusterIP port": (HEADLESS, "clusterIP: None, ", "type: NodePort, "),
    "Job/seed:template": (JOB, "acme/seed:1.0.0", "acme/seed:1.0.1"),
    "Job/seed:template label": (JOB, "app: seed", "app: seeds"),
    "Job/seed:completionMode": (JOB, "backoffLimit", "completionMode: Indexed\n  backoffLimit"),
    "Job/seed:selector": (JOB, "backoffLimit", "selector: {matchLabels: {app: seed}}\n  backoffLimit"),
    "PriorityClass/high:value": (PRIORITY, "1000", "1001"),
    "PriorityClass/high:preemptionPolicy": (PRIORITY, "value:", "preemptionPolicy: Never\nvalue:"),
    "StorageClass/fast:parameters": (STORAGE_CLASS, "ssd", "hdd"),
    "StorageClass/fast:provisioner": (STORAGE_CLASS, "acme.", "other."),
    "StorageClass/fast:reclaimPolicy": (STORAGE_CLASS, "provisioner:", "reclaimPolicy: Retain\nprovisioner:"),
    "StorageClass/fast:volumeBindingMode": (
        *(STORAGE_CLASS, "provisioner:", "volumeBindingMode: WaitForFirstConsumer\nprovisioner:"),
    ),
    "RoleBinding/reader:roleRef": (BINDING, "kind: Role,", "kind: ClusterRole,"),
    "ResourceQuota/shop:scopes": (QUOTA, "{hard", "{scopes: [BestEffort], hard"),
    "ConfigMap/fixed:data": (IMMUTABLE, "key: one", "key: two"),
    "ConfigMap/fixed:immutable": (IMMUTABLE, "immutable: true\n", ""),
    "Secret/hidden:data": (IMMUTABLE_SECRET, "key: aHVudGVyMg==", "key: aHVudGVyMw=="),
    "Secret/hidden:type": (IMMUTABLE_SECRET, "immutable", "type: kubernetes.io/tls\nimmutable"),
    # What it takes, and loses.
    "Namespace/shop:gone": (NAMESPACE, "name: shop", "name: store"),
    "StatefulSet/db:gone": (STATEFUL_SET, "name: db,", "name: base,"),
    "PersistentVolumeClaim/web:gone": (CLAIM, "name: web,", "name: www,"),
    "Deployment/web:kind": (DEPLOYMENT, "kind: Deployment", "kind: DaemonSet"),
    "Ingress/shop:apiVersion": (INGRESS, "networking.k8s.io/v1", "extensions/v1beta1"),
    "Deployment/web:/data": (DEPLOYMENT, CLAIMED, "{name: data, emptyDir: {}}"),
    "Deployment/web:/data claim": (DEPLOYMENT, "claimName: web", "claimName: www"),
    "Deployment/web:/data path": (DEPLOYMENT, "mountPath: /data", "mountPath: /store"),
    "Deployment/web:/data folder": (DEPLOYMENT, "mountPath: /data", "mountPath: /data, subPath: new"),
    "Deployment/web:/tmp": (
        DEPLOYMENT,
        "{name: tmp, emptyDir: {}}",
        "{name: tmp, persistentVolumeClaim: {claimName: tmp}}",
    ),
    "Deployment/web:replicas": (DEPLOYMENT, "  replicas: 3\n", ""),
    "Deployment/web:image": (DEPLOYMENT, "acme/web:1.4.2", "acme/web:2.0.0"),
    "StatefulSet/db:image": (STATEFUL_SET, "15.14-alpine3.22", "16.10-alpine3.22"),
    "StatefulSet/db:image older": (STATEFUL_SET, "15.14-alpine3.22", "15.9-alpine3.22"),
    "StatefulSet/db:image other": (STATEFUL_SET, "postgres:15.14-alpine3.22", "acme/mariadb:15.14"),
    "Service/web:gone": (SERVICE, "name: web,", "name: www,"),
    "Service/web:selector": (SERVICE, "app: web", "app: www"),
    "Service/web:selector none": (SERVICE, "selector: {app: web}, ", ""),
    "Service/web:type": (SERVICE, "{selector: {app: web}", "{type: ExternalName, externalName: example.com"),
    "Service/door:type": (BALANCER, "LoadBalancer", "NodePort"),
    "ExternalSecret/keys:target": (EXTERNAL_SECRET, "target: {name: keys}", "target: {name: other}"),
    "SealedSecret/sealed:gone": (SEALED, "name: sealed", "name: other"),
    "Application/shop:gone": (APPLICATION, "{name: shop,", "{name: store,"),
    "ApplicationSet/shops:gone": (MANY, "name: shops", "name: stores"),
    "AppProject/shop:kinds.Ingress": (PROJECT, "kind: Ingress", "kind: NetworkPolicy"),
    "AppProject/shop:kinds.PriorityClass": (PROJECT, ", {group: scheduling.k8s.io, kind: PriorityClass}", ""),
    "ResourceQuota/shop:hard": (QUOTA, '"10"', '"3"'),
    "Application/shop:destination": (APPLICATION, "namespace: shop, name", "namespace: store, name"),
    "ExternalSecret/keys:gone": (EXTERNAL_SECRET, "metadata: {name: keys", "metadata: {name: other"),
}
ACCEPTED = {
    "an image within its major version": (DEPLOYMENT, "acme/web:1.4.2", "acme/web:1.5.0"),
    "an image from a mirror": (STATEFUL_SET, "postgres:15.14", "registry.example.com:5000/mirror/postgres:15.14"),
    "a count": (DEPLOYMENT, "replicas: 3", "replicas: 5"),
    "labels of pods": (DEPLOYMENT, "{app: web, tier: front}", "{app: web, tier: back}"),
    "a variable": (DEPLOYMENT, "image: acme", "env: [{name: A, value: b}]\n          image: acme"),
    "another folder for the same scratch": (DEPLOYMENT, "mountPath: /tmp", "mountPath: /scratch"),
    "another name for the same volume": (
        *(DEPLOYMENT, "{name: data, mountPath", "{name: store, mountPath", "{name: data, pers", "{name: store, pers"),
    ),
    "configuration from elsewhere": (DEPLOYMENT, "configMap: {name: web}", "secret: {secretName: web}"),
    "what the API server puts there itself": (STATEFUL_SET, "replicas: 1", "podManagementPolicy: OrderedReady"),
    "the kind in a claim template": (
        *(
            STATEFUL_SET,
            "- metadata: {name: data,",
            "- apiVersion: v1\n      kind: PersistentVolumeClaim\n      metadata: {name: data,",
        ),
    ),
    "the same size in other words": (STATEFUL_SET, "10Gi", "10240Mi"),
    "what a StatefulSet lets change": (
        *(STATEFUL_SET, "replicas: 1", "replicas: 2\n  updateStrategy: {type: OnDelete}\n  minReadySeconds: 5"),
    ),
    "a claim that grows": (CLAIM, "10Gi", "1Ti"),
    "the mode of a claim in words": (CLAIM, "storageClassName: fast", "storageClassName: fast, volumeMode: Filesystem"),
    "the volume of a claim that had none": (CLAIM, "storageClassName: fast", "storageClassName: fast, volumeName: v"),
    "labels of a claim": (CLAIM, "app: web", "app: www"),
    "a port": (SERVICE, "port: 80", "port: 81"),
    "more ways to a Service": (SERVICE, "{selector", "{type: LoadBalancer, selector"),
    "a selector that pods carry already": (SERVICE, "{app: web}", "{tier: front}"),
    "more retries of a Job": (JOB, "backoffLimit: 3", "backoffLimit: 4"),
    "a Job that replaces its predecessor": (
        *(
            JOB,
            "namespace: shop",
            "namespace: shop, annotations: {argocd.argoproj.io/hook: Sync}",
            "seed:1.0.0",
            "seed:2.0.0",
        ),
    ),
    "a Job that is forced": (
        JOB,
        "namespace: shop",
        'namespace: shop, annotations: {argocd.argoproj.io/sync-options: "Force=true, Replace=true"}',
        "seed:1.0.0",
        "seed:2.0.0",
    ),
    "who is bound": (BINDING, "roleRef", "subjects: []\nroleRef"),
    "a quota": (QUOTA, "10", "20"),
    "a quota that has room for what runs": (QUOTA, "10", "4"),
    "a kind that a project allows for controllers": (PROJECT, ', {group: "", kind: Pod}', ""),
    "a kind more that a project allows": (PROJECT, "[{group: net", '[{group: "", kind: Secret}, {group: net'),
    "annotations of what is immutable": (IMMUTABLE, "namespace: shop", "namespace: shop, annotations: {a: b}"),
    "what is sealed": (SEALED, "AgBy", "AgBz"),
    "the revision that ArgoCD deploys": (APPLICATION, "main", "v2"),
    "keys of a Secret": (EXTERNAL_SECRET, "secretKey: a", "secretKey: b"),
    "a Secret of the same name": (EXTERNAL_SECRET, "{target: {name: keys}, data", "{data"),
    "one host more": (INGRESS, "[{host", "[{host: new.example.com}, {host"),
    "a preemption policy in words": (PRIORITY, "value:", "preemptionPolicy: PreemptLowerPriority\nvalue:"),
}


@at_each("named", REFUSED)
def test_what_a_cluster_refuses_or_loses_is_named(named: str) -> None:
    document, *changes = REFUSED[named]
    before = read(*EVERYTHING)
    old, new = read(document, replaced(document, *changes))
    after = [new if x == old else x for x in before]
    assert after != before
    assert found(before, after) == [named.partition(" ")[0]]
    assert found(before, before) == []


@at_each("what", ACCEPTED)
def test_what_a_cluster_takes_is_let_through(what: str) -> None:
    document, *changes = ACCEPTED[what]
    before = read(*EVERYTHING)
    old, new = read(document, replaced(document, *changes))
    after = [new if x == old else x for x in before]
    assert after != before
    assert found(before, after) == []


def test_a_change_says_what_why_and_what_to_do_instead() -> None:
    (change,) = breaking_changes(read(STATEFUL_SET), read(replaced(STATEFUL_SET, "10Gi", "20Gi")))
    assert change.title == "StatefulSet db"
    assert change.change == "data.spec.resources.requests.storage: 10Gi → 20Gi"
    assert "API server refuses" in change.why
    assert "makes the StatefulSet again around its pods" in change.instead


def test_the_value_of_a_secret_is_never_printed() -> None:
    (change,) = breaking_changes(
        read(IMMUTABLE_SECRET), read(replaced(IMMUTABLE_SECRET, "aHVudGVyMg==", "aHVudGVyMw=="))
    )
    assert change.change == "key changed"


def test_of_a_namespace_that_is_renamed_only_the_namespace_is_named() -> None:
    after = read(*(document.replace("namespace: shop", "namespace: store") for document in EVERYTHING))
    after[0]["metadata"]["name"] = "store"
    # ArgoCD, which lies elsewhere, is told to deploy elsewhere too.
    assert found(read(*EVERYTHING), after) == ["Namespace/shop:gone", "Application/shop:destination"]


def test_objects_may_come_and_those_may_go_that_nothing_hangs_on() -> None:
    config = read(IMMUTABLE)[0] | {"metadata": {"name": "more", "namespace": "shop"}}
    assert found(read(*EVERYTHING), [*read(*EVERYTHING), config]) == []
    deployment = replaced(DEPLOYMENT, "name: web, namespace", "name: www, namespace")
    assert found([*read(deployment, IMMUTABLE, PRIORITY), config], read(IMMUTABLE)) == []


def test_an_address_once_given_stays_when_it_is_left_out_and_cannot_be_another() -> None:
    before = replaced(SERVICE, "{selector", "{clusterIP: 10.0.0.1, selector")
    assert found(read(before), read(SERVICE)) == []
    assert found(read(before), read(replaced(before, "10.0.0.1", "10.0.0.2"))) == ["Service/web:clusterIP"]


def test_a_claim_cannot_move_to_another_volume() -> None:
    before = replaced(CLAIM, "storageClassName: fast", "storageClassName: fast, volumeName: one")
    named = "PersistentVolumeClaim/web:volumeName"
    assert found(read(before), read(replaced(before, "volumeName: one", "volumeName: two"))) == [named]


def test_a_set_of_pods_that_keeps_nothing_may_go() -> None:
    document = read(STATEFUL_SET)[0]
    del document["spec"]["volumeClaimTemplates"]
    assert found([document], []) == []


def test_of_two_kinds_that_shared_a_name_one_may_go() -> None:
    both = read(DEPLOYMENT, replaced(JOB, "name: seed, namespace", "name: web, namespace"))
    assert found(both, both[:1]) == []


def test_an_ingress_that_served_every_host_is_named_when_it_does_no_more() -> None:
    before = replaced(INGRESS, "{host: old.example.com}", "{http: {}}")
    assert found(read(before), read(INGRESS)) == ["Ingress/shop:*"]


def test_a_host_may_move_from_an_ingress_to_a_route_of_the_gateway_api() -> None:
    assert found(read(INGRESS), read(ROUTE)) == []
    assert found(read(ROUTE), read(INGRESS)) == []


@pytest.mark.parametrize("document", [INGRESS, ROUTE])
def test_a_host_that_disappears_is_named(document: str) -> None:
    (change,) = breaking_changes(read(document), read(replaced(document, "old.", "new.")))
    assert change.allowance == f"{change.kind}/shop:old.example.com"
    assert "people" in change.why.lower()


def test_an_older_release_that_is_named_by_its_date_is_named_and_a_newer_one_is_not() -> None:
    releases = [
        replaced(STATEFUL_SET, "postgres:15.14-alpine3.22", f"minio/minio:RELEASE.{day}T00-00-00Z")
        for day in ("2024-12-31", "2025-08-13")
    ]
    assert found(read(releases[1]), read(releases[0])) == ["StatefulSet/db:image"]
    assert found(read(releases[0]), read(releases[1])) == []


REGISTRY = replaced(DEPLOYMENT, CLAIMED, "{name: data, emptyDir: {}}", "acme/web:1.4.2", "mcpmesh/registry:3.8.0")


@pytest.mark.parametrize(
    ("was", "now", "broken"),
    [
        ("mcpmesh/registry:3.8.0", "mcpmesh/registry:3.7.1", True),
        ("mcpmesh/registry:3.8.0", "mcpmesh/registry:0.5.3", True),
        ("mcpmesh/registry:3.10.0", "mirror.example.com:5000/mcpmesh/registry:3.9.0", True),
        ("mcpmesh/registry:3.7.1", "mcpmesh/registry:3.8.0", False),
        ("mcpmesh/registry:3.8.1", "mcpmesh/registry:3.8.0", False),
        ("mcpmesh/registry:0.5.3", "mcpmesh/registry:3.8.0", False),
        ("mcpmesh/ui:3.8.0", "mcpmesh/ui:3.7.1", False),
    ],
)
def test_an_older_registry_drops_columns_of_its_database_though_it_keeps_nothing_itself(
    was: str, now: str, broken: bool
) -> None:
    before, after = (read(replaced(REGISTRY, "mcpmesh/registry:3.8.0", image)) for image in (was, now))
    changes = breaking_changes(before, after)
    assert [change.allowance for change in changes] == ["Deployment/web:image"] * broken
    assert all("drops the columns" in change.why and "restore" in change.instead for change in changes)


def test_what_is_to_be_done_before_a_registry_goes_up_is_noted() -> None:
    images = ("mcpmesh/registry:0.5.3", "mcpmesh/registry:3.7.1", "mcpmesh/registry:3.8.0")
    first, second, third = (read(replaced(REGISTRY, "mcpmesh/registry:3.8.0", image)) for image in images)
    (note,) = notes_on(second, third)
    assert note == (
        "web goes from 3.7 to 3.8, and changes its tables for good: back up its database, and let jobs end: "
        "make k8s-drain"
    )
    (note,) = notes_on(first, second)
    assert "k8s-drain" not in note, "0.5 cannot be drained"
    assert notes_on(third, second) == notes_on(third, third) == ()


READER = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template:
    spec:
      containers:
        - name: web
          env:
            - {name: ONE, valueFrom: {secretKeyRef: {name: keys, key: one}}}
            - {name: MORE, valueFrom: {secretKeyRef: {name: more, key: a, optional: true}}}
      volumes: [{name: files, secret: {secretName: files, items: [{key: ca, path: ca.crt}]}}]
"""
FILLED = """
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: filler, namespace: shop}
spec:
  secretStoreRef: {name: store}
  target: {name: keys}
  data: [{secretKey: one, remoteRef: {key: shop/prod, property: one}}]
"""
BACKUP = """
apiVersion: batch/v1
kind: CronJob
metadata: {name: backup, namespace: shop}
spec:
  jobTemplate:
    spec:
      template:
        spec:
          containers:
            - name: backup
              env: [{name: KEEP_DAILY, value: "7"}, {name: AGE_TO, value: --recipient age1a --recipient age1b}]
            - name: send
              env: [{name: LEAST_PERCENT, value: "50"}, {name: BUCKET, value: target/acme/postgres}]
"""
KEY = "Secret keys is asked for more than before: give it two first, or what asks does not start"
FILE = "Secret files is asked for more than before: give it key first, or what asks does not start"
TWO = "{name: ONE, valueFrom: {secretKeyRef: {name: keys, key: two}}}"
ONE = "{name: ONE, valueFrom: {secretKeyRef: {name: keys, key: one}}}"
SEALS = """
apiVersion: bitnami.com/v1alpha1
kind: SealedSecret
metadata: {name: keys, namespace: shop}
spec: {encryptedData: {one: AgBy}}
"""
CLASSY = replaced(INGRESS, "{rules", "{ingressClassName: nginx, rules")
GATEWAY = replaced(
    ROUTE,
    "{hostnames: [shop.example.com, old.example.com]",
    "{hostnames: [shop.example.com], parentRefs: [{name: door}]",
)
NOTED: Mapping[str, tuple[Sequence[str], Sequence[str], Sequence[str]]] = {
    "a key that is read": ([READER], [replaced(READER, ONE, TWO)], [KEY]),
    "a file that is mounted": ([READER], [replaced(READER, "key: ca,", "key: key,")], [FILE]),
    "a key that need not be": ([READER], [replaced(READER, "key: a,", "key: b,")], []),
    "a key that nobody reads any more": ([replaced(READER, ONE, f"{ONE}\n            - {TWO}")], [READER], []),
    "a key that comes sealed": ([READER, SEALS], [replaced(READER, ONE, TWO), SEALS], []),
    "a store in the place of what was made by hand": (
        [READER],
        [READER, FILLED],
        [
            "Secret keys was made by hand, and ExternalSecret filler takes it over: put the values that are in use "
            "into its store first"
        ],
    ),
    "what is sealed in the place of what was made by hand": (
        [READER],
        [READER, SEALS],
        [
            "Secret keys was made by hand, and SealedSecret keys takes it over: kubectl annotate secret keys "
            "sealedsecrets.bitnami.com/managed=true first"
        ],
    ),
    "a store in the place of what was sealed": ([READER, SEALS], [READER, FILLED], []),
    "another place in the store": (
        [READER, FILLED],
        [READER, replaced(FILLED, "shop/prod", "shop/other")],
        [
            "Secret keys takes one from another place in its store: put the values that are in use there first, since "
            "no server is told of others"
        ],
    ),
    "another store": (
        [READER, FILLED],
        [READER, replaced(FILLED, "{name: store}", "{name: vault}")],
        [
            "Secret keys takes one from another place in its store: put the values that are in use there first, since "
            "no server is told of others"
        ],
    ),
    "one value more in the same place": (
        [READER, FILLED],
        [READER, replaced(FILLED, "data: [", "data: [{secretKey: two, remoteRef: {key: shop/prod, property: two}}, ")],
        [KEY],
    ),
    "fewer backups": (
        [BACKUP],
        [replaced(BACKUP, '"7"', '"3"')],
        ["backup keeps less (daily 7 → 3): its next run removes the others"],
    ),
    "more backups": ([BACKUP], [replaced(BACKUP, '"7"', '"14"')], []),
    "backups to another bucket": (
        [BACKUP],
        [replaced(BACKUP, "target/acme", "target/other")],
        ["backup writes elsewhere: make k8s-restore no longer lists what is in target/acme/postgres"],
    ),
    "backups to another identity": (
        [BACKUP],
        [replaced(BACKUP, "age1b", "age1c")],
        [
            "backup no longer encrypts to age1b: leave its identity in the Secret, a line beside the new one, until no "
            "backup to it is left"
        ],
    ),
    "backups to one identity more": ([BACKUP], [replaced(BACKUP, "age1b", "age1b --recipient age1c")], []),
    "backups that are no longer encrypted": (
        [BACKUP],
        [replaced(BACKUP, ", {name: AGE_TO, value: --recipient age1a --recipient age1b}", "")],
        [
            "backup no longer encrypts to age1a, age1b: what it has encrypted, make k8s-restore opens from a revision "
            "that still does"
        ],
    ),
    "another controller": (
        [CLASSY],
        [replaced(CLASSY, "nginx", "traefik")],
        [
            f"{host} moves from Ingresses of class nginx to Ingresses of class traefik: when that answers, point the "
            "name in DNS to its address"
            for host in ("old.example.com", "shop.example.com")
        ],
    ),
    "a gateway": (
        [CLASSY],
        [GATEWAY],
        [
            "shop.example.com moves from Ingresses of class nginx to gateway door: when that answers, point the name "
            "in DNS to its address"
        ],
    ),
    "what ArgoCD is told": (
        [PROJECT, APPLICATION],
        [replaced(PROJECT, "kind: Ingress", "kind: HTTPRoute"), APPLICATION, MANY],
        [
            "AppProject shop, ApplicationSet shops: apply this before the sync, or ArgoCD goes by what it was told "
            "last",
        ],
    ),
    "a gateway beside": ([CLASSY], [CLASSY, GATEWAY], []),
}


@pytest.mark.parametrize("what", NOTED)
def test_what_is_good_to_know_before_is_noted_and_nothing_else(what: str) -> None:
    before, after, notes = NOTED[what]
    assert sorted(notes_on(read(*before), read(*after))) == sorted(notes)
    assert notes_on(read(*before), read(*before)) == notes_on(read(*after), read(*after)) == ()


def test_a_program_that_keeps_nothing_may_be_any_version() -> None:
    before = replaced(DEPLOYMENT, CLAIMED, "{name: data, emptyDir: {}}")
    assert found(read(before), read(replaced(before, "acme/web:1.4.2", "other/site:1.0.0"))) == []


def test_a_count_of_one_may_be_left_to_an_autoscaler() -> None:
    before = replaced(DEPLOYMENT, "replicas: 3", "replicas: 1")
    assert found(read(before), read(replaced(before, "  replicas: 1\n", ""))) == []


def test_where_backups_of_a_cron_job_lie_is_not_forgotten() -> None:
    template = read(DEPLOYMENT)[0]["spec"]["template"]
    before: Object = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "backup", "namespace": "shop"}}
    before["spec"] = {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": template}}}
    after = copy.deepcopy(before)
    after["spec"]["schedule"] = "0 4 * * *"
    assert found([before], [after]) == []
    after["spec"]["jobTemplate"]["spec"]["template"]["spec"]["volumes"][0] = {"name": "data", "emptyDir": {}}
    assert found([before], [after]) == ["CronJob/backup:/data"]


# --- what we render ---

# What Kubernetes does not let change, of the kinds that we render. What a kind is not listed for may all change.
IMMUTABLE_FIELDS = {
    "RoleBinding": ("roleRef",),
    "ClusterRoleBinding": ("roleRef",),
    "Deployment": ("spec.selector",),
    "PersistentVolumeClaim": ("spec.accessModes", "spec.volumeMode", "spec.storageClassName"),
    "PriorityClass": ("value", "preemptionPolicy"),
    "Service": ("spec.clusterIP",),
    "StatefulSet": ("spec.podManagementPolicy", "spec.selector", "spec.serviceName", "spec.volumeClaimTemplates"),
}
# What it lets change, and is an address or a Secret that others hold.
LOST_FIELDS = {
    "Application": ("spec.destination",),
    "ExternalSecret": ("spec.target.name",),
    "Ingress": ("spec.rules.0.host",),
    "Service": ("spec.selector", "spec.type"),
}
LOST_WITH_ITS_NAME = ("Application", "ExternalSecret", "Namespace", "PersistentVolumeClaim", "Service", "StatefulSet")


def leaves(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Every value of an object that is no map and no list, with its path."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if entries is None:
        yield path, value
    else:
        for key, inner in entries:
            yield from leaves(inner, (*path, str(key)))


def changed(manifest: Mapping[str, object], path: Sequence[str], value: object) -> Object:
    """A copy with another value at a path; what does not lead there is shared."""
    result = dict(manifest)
    place: Any = result
    for key in path[:-1]:
        index: Any = int(key) if isinstance(place, list) else key
        place[index] = copy.copy(place[index])
        place = place[index]
    place[int(path[-1]) if isinstance(place, list) else path[-1]] = value
    return result


def other(value: object) -> object:
    """Another value of the same kind; of an image, the same version with another ending."""
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else "Gi".join(grown(str(value)))


def grown(text: str) -> list[str]:
    size = text.removesuffix("Gi")
    return [str(int(size) + 1), ""] if size != text and size.isdigit() else [f"{text}x"]


def mounts_a_claim(manifest: Object, path: tuple[str, ...]) -> bool:
    """Whether a field says where a claim is mounted."""
    if path[:2] == ("spec", "jobTemplate"):
        return mounts_a_claim(manifest["spec"]["jobTemplate"], path[2:])
    pod = manifest["spec"].get("template", {}).get("spec", {}) if "spec" in manifest else {}
    claims = {volume["name"] for volume in pod.get("volumes", []) if "persistentVolumeClaim" in volume}
    claims |= {claim["metadata"]["name"] for claim in manifest.get("spec", {}).get("volumeClaimTemplates", [])}
    if path[:4] == ("spec", "template", "spec", "volumes"):
        return pod["volumes"][int(path[4])]["name"] in claims
    if path[:3] == ("spec", "template", "spec") and path[5:6] == ("volumeMounts",):
        return pod[path[3]][int(path[4])]["volumeMounts"][int(path[6])]["name"] in claims and path[7] != "readOnly"
    return False


def breaks(manifest: Object, path: tuple[str, ...]) -> bool:
    """Whether Kubernetes refuses another value at a path, or something is lost by it."""
    kind, dotted = str(manifest["kind"]), ".".join(path)
    fields = (*IMMUTABLE_FIELDS.get(kind, ()), *LOST_FIELDS.get(kind, ()))
    if path[:2] == ("spec", "volumeClaimTemplates") and path[3] in ("apiVersion", "kind"):
        return False  # the API server writes its own
    if kind == "AppProject" and path[1].endswith("Whitelist"):
        # Of these ArgoCD deletes none, whatever the project allows.
        return manifest["spec"][path[1]][int(path[2])]["kind"] not in (
            *("Job", "Namespace", "PersistentVolumeClaim", "Pod", "ReplicaSet"),
        )
    if path[0] == "metadata":
        return path[1] in ("name", "namespace") and kind in LOST_WITH_ITS_NAME
    return f"{dotted}.".startswith(tuple(f"{field}." for field in fields)) or mounts_a_claim(manifest, path)


@pytest.mark.parametrize("environment", grid(["argocd", *EVERY], short=["argocd", *SHARED]))
def test_of_what_we_render_what_may_not_change_is_refused_and_all_else_may(
    environment: str, manifests: Manifests
) -> None:
    wrong: list[str] = []
    refused = 0
    for manifest in manifests(environment):
        for path, value in leaves(manifest):
            if path[0] not in ("apiVersion", "kind"):
                after = changed(manifest, path, other(value))
                names = found([manifest], [after])
                refused += bool(names)
                if bool(names) != breaks(dict(manifest), path):
                    wrong.append(f"{manifest['kind']} {'.'.join(path)}: {value} → {other(value)} gives {names}")
    assert wrong == []
    assert refused > (5 if environment == "argocd" else 50)


@pytest.mark.parametrize("environment", EVERY)
def test_a_job_of_ours_that_were_no_hook_would_be_refused(environment: str, manifests: Manifests) -> None:
    job = find(manifests(environment), "Job", "ai-interviewer-minio-bucket")
    plain = {**job, "metadata": {"name": "ai-interviewer-minio-bucket", "namespace": "ai-interviewer"}}
    path = ("spec", "template", "spec", "containers", "0", "image")
    assert found([job], [changed(job, path, "minio/mc:RELEASE.2025-09-01T00-00-00Z")]) == []
    (name,) = found([plain], [changed(plain, path, "minio/mc:RELEASE.2025-09-01T00-00-00Z")])
    assert name == "Job/ai-interviewer-minio-bucket:template"


def test_dev_with_the_storage_of_prod_is_refused_and_says_which_data_stay_behind(manifests: Manifests) -> None:
    """Redis, Tempo and Grafana keep their data in an emptyDir in dev, and on a claim in prod."""
    places = {
        f"Deployment/ai-interviewer-{name}:{path}"
        for name, path in (("redis", "/data"), ("tempo", "/var/tempo"), ("grafana", "/var/lib/grafana"))
    }
    for before, after in (("dev", "prod"), ("prod", "dev")):
        assert places <= set(found(manifests(before), manifests(after)))


# --- what is committed ---


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.com", "-c", "init.defaultBranch=main")
    return subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


def commit(folder: Path, message: str, **environments: str) -> None:
    """Commit what each environment renders."""
    render(folder, **environments)
    git(folder, "add", "--all")
    git(folder, "commit", "--allow-empty", "--message", message)


def render(folder: Path, **environments: str) -> None:
    shutil.rmtree(folder / "dist", ignore_errors=True)
    for name, text in environments.items():
        (folder / "dist" / name).mkdir(parents=True)
        (folder / "dist" / name / "0000-all.k8s.yaml").write_text(text)


@pytest.fixture
def clone(tmp_path: Path, needs_git: Path) -> Path:
    """A repository with a first commit that has rendered two environments."""
    git(tmp_path, "init")
    commit(tmp_path, "first", dev=SERVICE + "---" + CLAIM, prod=SERVICE + "---" + CLAIM)
    return tmp_path


def asked(clone: Path, capsys: pytest.CaptureFixture[str], *arguments: str, base: str = "main") -> tuple[int, str]:
    status = main(["--base", base, "--dist", str(clone / "dist"), *arguments])
    printed = capsys.readouterr()
    return status, printed.out + printed.err


LARGER, SMALLER = CLAIM.replace("10Gi", "20Gi"), CLAIM.replace("10Gi", "5Gi")
STORAGE = "PersistentVolumeClaim/web:storage"


def test_what_changed_since_a_revision_is_compared_and_no_file_is_touched(
    clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(clone, capsys) == (
        0,
        "dev: nothing that a cluster at main refuses or loses\nprod: nothing that a cluster at main refuses or loses\n",
    )
    render(clone, dev=SERVICE + "---" + LARGER, prod=SERVICE + "---" + SMALLER)
    status, text = asked(clone, capsys)
    assert status == 1
    assert text.splitlines()[:3] == [
        "dev: nothing that a cluster at main refuses or loses",
        "prod: 1 that a cluster at main refuses or loses",
        "  PersistentVolumeClaim web, storage",
    ]
    assert "10Gi → 5Gi" in text
    assert f"allow    {STORAGE}" in text
    assert git(clone, "status", "--porcelain").split() == [
        "M",
        "dist/dev/0000-all.k8s.yaml",
        "M",
        "dist/prod/0000-all.k8s.yaml",
    ]


def test_the_base_may_be_any_revision(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commit(clone, "second", dev=SERVICE + "---" + LARGER, prod=SERVICE)
    assert asked(clone, capsys)[0] == 0
    status, text = asked(clone, capsys, base="main~1")
    assert status == 1
    assert "PersistentVolumeClaim/web:gone" in text


def test_an_environment_may_come_but_not_go(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    render(clone, dev=SERVICE + "---" + CLAIM, staging=SERVICE)
    status, text = asked(clone, capsys)
    assert status == 1
    assert "staging: new since main" in text
    assert "allow    Environment/prod:gone" in text
    assert asked(clone, capsys, "--allow", "Environment/prod:gone")[0] == 0


def test_a_change_is_allowed_by_its_name_and_only_by_that(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    render(clone, dev=SERVICE + "---" + SMALLER, prod=SERVICE + "---" + CLAIM)
    status, text = asked(clone, capsys, "--allow", STORAGE)
    assert status == 0
    assert f"allowed: {STORAGE}" in text
    for name in ("PersistentVolumeClaim/web", "PersistentVolumeClaim/web:stor", "persistentvolumeclaim/web:storage"):
        status, text = asked(clone, capsys, "--allow", name)
        assert status == 1
        assert text == f"error: Nothing has to be allowed as {name}: take it out, or mend its name.\n"


def test_an_allowance_that_is_not_needed_is_refused(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(clone, capsys, "--allow", STORAGE)[0] == 1


def test_a_commit_can_allow_what_it_breaks_and_nothing_before_it(
    clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """CI has no one to ask: the commit says it, where a reviewer sees it."""
    commit(
        clone,
        f"Shrink\n\nThere was nothing on it.\n\nAllow-break: {STORAGE}",
        dev=SERVICE + "---" + SMALLER,
        prod=SERVICE,
    )
    status, text = asked(clone, capsys, base="main~1")
    assert status == 1
    assert f"allowed: {STORAGE}" in text
    assert "allow    PersistentVolumeClaim/web:gone" in text
    render(clone, dev=SERVICE + "---" + SMALLER.replace("5Gi", "1Gi"), prod=SERVICE)
    assert asked(clone, capsys, base="main")[0] == 1


@pytest.mark.parametrize(
    ("base", "sentence"),
    [
        ("nowhere", "'nowhere' is no revision here: name a branch, tag or commit, and fetch it if need be."),
        ("--help", "'--help' is no revision here: name a branch, tag or commit, and fetch it if need be."),
        ("empty", "empty has no manifests in dist: name a revision that has rendered some."),
        ("broken", "broken:dist/prod/0000-all.k8s.yaml is no YAML: "),
        ("list", "list:dist/prod/0000-all.k8s.yaml holds something that is no Kubernetes object."),
        ("half", "half:dist/prod/0000-all.k8s.yaml holds something that is no Kubernetes object."),
    ],
)
def test_a_base_that_cannot_be_compared_is_one_clear_line(clone: Path, base: str, sentence: str) -> None:
    for name, environments in (
        ("empty", {}),
        ("broken", {"prod": "a: [b"}),
        ("list", {"prod": "- a"}),
        ("half", {"prod": "kind: Service"}),
    ):
        git(clone, "checkout", "--quiet", "-B", name, "main")
        commit(clone, name, **environments)
    git(clone, "checkout", "--quiet", "main")
    with pytest.raises(OperationError) as refused:
        compare(base, dist=clone / "dist")
    assert str(refused.value).startswith(sentence)
    assert "\n" not in str(refused.value)


def test_what_lies_in_dist_and_is_no_text_is_one_clear_line(clone: Path) -> None:
    (clone / "dist/prod").mkdir(parents=True, exist_ok=True)
    (clone / "dist/prod/0000-all.k8s.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(
        OperationError, match=r"/dist/prod/0000-all\.k8s\.yaml is no text in UTF-8 \(.*\)\. Write it anew: make synth$"
    ):
        compare("main", dist=clone / "dist")


def test_what_a_base_holds_and_is_no_text_is_one_clear_line(clone: Path) -> None:
    git(clone, "checkout", "--quiet", "-B", "binary", "main")
    commit(clone, "binary", prod=SERVICE)
    (clone / "dist/prod/0000-all.k8s.yaml").write_bytes(b"\xff\xfe")
    git(clone, "commit", "--all", "--quiet", "--message", "binary")
    git(clone, "checkout", "--quiet", "main")
    with pytest.raises(OperationError) as refused:
        compare("binary", dist=clone / "dist")
    assert "binary:./dist/prod/0000-all.k8s.yaml` prints what is no text in UTF-8" in str(refused.value)


def test_without_manifests_a_clone_or_git_there_is_one_clear_line(
    clone: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(elsewhere.parent))
    with pytest.raises(OperationError, match=r"holds no manifests: run `make synth`\.$"):
        compare("main", dist=elsewhere / "dist")
    render(elsewhere, dev=SERVICE)
    with pytest.raises(OperationError, match=r"is no clone of a git repository: there is nothing to compare with\.$"):
        compare("main", dist=elsewhere / "dist")
    monkeypatch.setenv("PATH", str(elsewhere))
    with pytest.raises(OperationError, match=r"^git not found on PATH\. Install git\.$"):
        compare("main", dist=clone / "dist")


def test_the_command_compares_the_environments_of_this_repository(repository: Mapping[str, str]) -> None:
    command = [sys.executable, "-m", "mcpmesh_k8s.operations.upgrade", "--base", "HEAD"]
    environment = {**os.environ, **repository}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    names = [line.partition(":")[0] for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert names == sorted(folder.name for folder in (ROOT / "dist").iterdir()), done.stdout + done.stderr
