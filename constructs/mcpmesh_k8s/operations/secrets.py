"""This module is the values of Secrets: read from `.env`, asked for or made up, and never shown.

A value goes to kubectl by its standard input, so that no list of processes shows it. What the cluster has is kept.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dotenv import dotenv_values

from mcpmesh_k8s.kubernetes import (
    Certificate,
    Component,
    ExistingCertificates,
    ExistingSecrets,
    ExternalSecrets,
    IssuedKey,
    KeyForm,
    RandomKey,
    Secret,
    SecretEntry,
    SecretKey,
    at,
    each,
)

from .answers import HeldKey, StoredKey
from .answers import Secrets as Answer
from .environment import Environment
from .programs import Kubectl, OperationError, UsageError
from .rendered import RenderedPhase
from .terminal import ask_secret, can_ask, show, show_table

if TYPE_CHECKING:
    from mcpmesh_k8s.kubernetes import Manifest

_URL_SAFE = re.compile(r"[A-Za-z0-9._~-]{3,}")
_SHORTEST_PASSWORD = 8

ENV_FILE = Path(".env")
"""The file that values are read from, unless another is named."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A value for a key, and where it came from.

    Args:
        entry: The key.
        value: The value; empty for one that the cluster keeps.
        origin: A few words for people.
    """

    entry: SecretEntry
    value: str
    origin: str

    def __repr__(self) -> str:
        """Without the value: a traceback may be read by anyone."""
        return f"Found({self.entry.variable} {self.origin})"


def own_entries(environment: Environment) -> tuple[SecretEntry, ...]:
    """The keys whose Secrets nobody but us makes."""
    ours = {
        secret.full_name
        for secret in environment.application.components
        if isinstance(secret, Secret) and isinstance(secret.settings.source, ExistingSecrets)
    }
    return tuple(entry for entry in environment.application.secret_keys() if entry.reference.secret in ours)


def keys_in_cluster(kubectl: Kubectl, names: Sequence[str]) -> dict[str, set[str]]:
    """The keys of Secrets as the cluster has them. Their values are not read."""
    template = '{{range .items}}{{.metadata.name}}{{range $key, $value := .data}} {{$key}}{{end}}{{"\\n"}}{{end}}'
    found = kubectl.output("get", "secrets", f"--output=go-template={template}")
    lines = [line.split() for line in found.splitlines() if line.strip()]
    return {name: set(keys) for name, *keys in lines if name in names}


def require_secrets(environment: Environment, kubectl: Kubectl, phases: Sequence[RenderedPhase]) -> None:
    """Refuse to deploy while a key is missing: a pod would wait for it without a word.

    Raises:
        OperationError: All that is missing, in one line.
    """
    entries = own_entries(environment)
    certificates = certificates_made_by_hand(environment.application.components)
    by_hand = [
        *secrets_made_by_hand([manifest for phase in phases for manifest in phase.objects]),
        *certificates,
    ]
    present = keys_in_cluster(kubectl, [*(entry.reference.secret for entry in entries), *by_hand])
    missing = [entry for entry in entries if entry.reference.key not in present.get(entry.reference.secret, ())]
    if missing:
        names = ", ".join(str(entry.reference) for entry in missing)
        raise OperationError(f"The cluster has no {names}. Make them: make k8s-secrets ENV={environment.name}")
    absent = [name for name in by_hand if name not in present]
    if absent:
        raise OperationError(
            f"The cluster has no Secret {', '.join(absent)} in namespace {kubectl.namespace}. It is made by hand: the "
            "credentials of the image registry, or a certificate."
        )
    # The type kubernetes.io/tls asks for two of them, and says nothing of the CA.
    lacking = [f"{name}/{key}" for name in certificates for key in Certificate.KEYS if key not in present[name]]
    if lacking:
        raise OperationError(
            f"The cluster has no {', '.join(lacking)} in namespace {kubectl.namespace}: pods that mount it would not "
            "start. Add it to the Secret: the certificate with those between it and the CA, its key, and the CA's own."
        )


def secrets_made_by_hand(objects: Sequence[Manifest]) -> list[str]:
    """The Secrets that no key of ours is in: for pulling images, and for TLS where no issuer makes the certificate."""
    pulls = [
        str(reference.get("name"))
        for manifest in objects
        if manifest["kind"] == "ServiceAccount"
        for reference in each(manifest, "imagePullSecrets")
    ]
    certificates = [
        str(tls.get("secretName"))
        for manifest in objects
        if "cert-manager.io/cluster-issuer" not in at(manifest, "metadata", "annotations")
        for tls in each(manifest, "spec", "tls")
    ]
    return sorted({*pulls, *certificates})


def certificates_made_by_hand(components: Sequence[Component]) -> list[str]:
    """The Secrets of servers' certificates that nothing in the cluster was told to make."""
    certificates = (component for component in components if isinstance(component, Certificate))
    return [one.secret for one in certificates if isinstance(one.settings.source, ExistingCertificates)]


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of a ``.env`` file that have a value; none when nobody made the usual one.

    Raises:
        OperationError: Another file was named, and is not there; or it is no text.
    """
    if not path.is_file():
        if path != ENV_FILE:
            raise OperationError(f"{path} is no file. ENV_FILE names the file with the values of Secrets.")
        return {}
    if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        show(f"Others on this machine can read {path}: chmod 600 {path}")
    try:
        return {name: value for name, value in dotenv_values(path, interpolate=False).items() if value}
    except UnicodeError:
        raise OperationError(f"{path} is no text in UTF-8. Save it as such.") from None


def require_values(environment: Environment, present: dict[str, set[str]], given: dict[str, str]) -> None:
    """Refuse to begin when a value that someone issues is nowhere, and nobody can be asked.

    Raises:
        OperationError: All that is missing, and who issues it, in one line; or a value that cannot be used.
    """
    entries = own_entries(environment)
    missing = [
        f"{entry.variable} (from {entry.origin.issued_by})"
        for entry in entries
        if isinstance(entry.origin, IssuedKey)
        and entry.variable not in given
        and entry.reference.key not in present.get(entry.reference.secret, ())
    ]
    if missing and not can_ask():
        raise OperationError(f"No value for {', '.join(missing)}. Write it into .env, as .env.example shows.")
    for entry in entries:
        if entry.variable in given:
            check_value(entry, given[entry.variable])


def check_value(entry: SecretEntry, value: str) -> None:
    """Refuse a value that its readers could not use. The message does not show it.

    Raises:
        OperationError: What the value must be.
    """
    if "\n" in value or value != value.strip():
        raise OperationError(f"{entry.variable} has blanks around it, or several lines. Give it without.")
    if isinstance(entry.origin, RandomKey) and entry.origin.form is KeyForm.HEX:
        if not _URL_SAFE.fullmatch(value):
            raise OperationError(
                f"{entry.variable} becomes part of URLs. Give 3 or more of letters, digits, '-', '_', '.' and '~'."
            )
        if not entry.reference.key.endswith("user") and len(value) < _SHORTEST_PASSWORD:
            raise OperationError(f"{entry.variable} is short. Give {_SHORTEST_PASSWORD} characters or more.")
    elif isinstance(entry.origin, RandomKey):
        try:
            size = len(base64.urlsafe_b64decode(value))
        except ValueError:
            size = 0
        if size not in (16, 24, 32):
            raise OperationError(f"{entry.variable} is no key in URL-safe base64. Make one: {entry.origin.form.value}")


def make_up(form: KeyForm) -> str:
    """A value that nobody knows."""
    if form is KeyForm.HEX:
        return secrets.token_hex(24)
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def find_value(entry: SecretEntry, present: dict[str, set[str]], given: dict[str, str]) -> Found:
    """The value of a key: what the cluster has, else what ``.env`` says, else made up, or asked for."""
    if entry.reference.key in present.get(entry.reference.secret, ()):
        return Found(entry=entry, value="", origin="kept: the cluster has it")
    if entry.variable in given:
        return Found(entry=entry, value=given[entry.variable], origin="from .env")
    origin = "made up" if isinstance(entry.origin, RandomKey) else "asked for"
    return Found(entry=entry, value=new_value(entry), origin=origin)


def new_value(entry: SecretEntry) -> str:
    """A value that the key never had: made up, or asked for where someone issues it.

    Raises:
        OperationError: There was no answer, or one that cannot be used.
    """
    if isinstance(entry.origin, RandomKey):
        return make_up(entry.origin.form)
    if not can_ask():
        raise OperationError(
            f"{entry.variable} comes from {entry.origin.issued_by}, and there is no terminal to ask for it. Write it "
            f"into .env, give it by make k8s-secrets REPLACE={entry.variable}, then this again with PRESENT=1."
        )
    value = ask_secret(f"{entry.variable}, issued by {entry.origin.issued_by}")
    if not value:
        raise OperationError(f"{entry.variable} is empty. Nothing was changed.")
    check_value(entry, value)
    return value


def put_values(kubectl: Kubectl, name: str, values: Mapping[str, str]) -> None:
    """Change keys of a Secret that is there."""
    change = json.dumps({"stringData": dict(values)})
    kubectl.output("patch", "secret", name, "--type=merge", "--patch-file=/dev/stdin", stdin=change)


def make_secrets(
    environment: Environment, kubectl: Kubectl, env_file: Path, replace: Sequence[str] = ()
) -> tuple[HeldKey, ...]:
    """Put into the cluster what its Secrets lack, and return what came from where and who reads it.

    Args:
        environment: Whose Secrets.
        kubectl: The cluster.
        env_file: The file with values.
        replace: The variables of keys that get a new value although the cluster has one.

    Raises:
        UsageError: No key that is made here has such a variable.
        OperationError: A value is missing or cannot be used, found before anything is changed; or kubectl fails.
    """
    entries = own_entries(environment)
    unknown = sorted(set(replace) - {entry.variable for entry in entries})
    if unknown:
        known = ", ".join(entry.variable for entry in entries)
        raise UsageError(f"No Secret is made here from {', '.join(unknown)}. There are: {known}.")
    there = keys_in_cluster(kubectl, [entry.reference.secret for entry in entries])
    replaced = {entry.reference for entry in entries if entry.variable in replace}
    present = {
        name: {key for key in keys if SecretKey(secret=name, key=key) not in replaced} for name, keys in there.items()
    }
    given = read_env_file(env_file)
    require_values(environment, present, given)
    found = [find_value(entry, present, given) for entry in entries]
    names = dict.fromkeys(one.entry.reference.secret for one in found if one.value)
    given_now = {name: [one for one in found if one.entry.reference.secret == name and one.value] for name in names}
    done = list[str]()
    try:
        for name, ones in given_now.items():
            new = {one.entry.reference.key: one.value for one in ones}
            if name in present:
                put_values(kubectl, name, new)
            else:
                kubectl.output("create", "--filename=-", stdin=json.dumps(as_secret(environment, name, new)))
            done.append(name)
    except BaseException:
        was, left = (
            ", ".join(one.entry.variable for name, ones in given_now.items() if (name in done) is put for one in ones)
            for put in (True, False)
        )
        show(f"Put into the cluster: {was or 'nothing'}. Not, or nobody knows: {left}.")
        raise
    return tuple(
        HeldKey(
            secret=one.entry.reference.secret,
            key=one.entry.reference.key,
            variable=one.entry.variable,
            origin=one.origin,
            readers=tuple(one.entry.readers),
        )
        for one in found
    )


def as_secret(environment: Environment, name: str, values: dict[str, str]) -> dict[str, object]:
    """A Secret as kubectl creates it."""
    labels = {"app.kubernetes.io/part-of": environment.application.settings.name}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": environment.namespace, "labels": labels},
        "type": "Opaque",
        "stringData": values,
    }


def stored_keys(environment: Environment) -> tuple[StoredKey, ...]:
    """What must be in a store, for the Secrets that an operator makes from one."""
    entries = {entry.reference: entry for entry in environment.application.secret_keys()}
    return tuple(
        StoredKey(
            key=secret.remote_key,
            property=origin.key,
            origin=origin.issued_by if isinstance(origin, IssuedKey) else f"make it up: {origin.form.value}",
            readers=tuple(entries[secret.key(origin.key)].readers),
        )
        for secret in environment.application.components
        if isinstance(secret, Secret) and isinstance(secret.settings.source, ExternalSecrets)
        for origin in secret.settings.origins
    )


def show_secrets(answer: Answer) -> None:
    """Show what the Secrets hold and a store must hold, and who reads it."""
    if answer.keys:
        rows = [(one.secret, one.key, one.origin, ", ".join(one.readers)) for one in answer.keys]
        show_table(("Secret", "key", "value", "read by"), rows)
    if answer.stored:
        show("The store must hold these. The External Secrets Operator copies them into the cluster.")
        stored = [(one.key, one.property, one.origin, ", ".join(one.readers)) for one in answer.stored]
        show_table(("key in the store", "property", "from", "read by"), stored)
