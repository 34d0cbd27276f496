"""This module is amounts of CPU, memory and storage: parsed, compared, and written in canonical form."""

from __future__ import annotations

import re
from decimal import Decimal

from .errors import SettingError
from .values import dataclass

_MOST_CORES = 1_000_000
"""Above what all nodes of the largest cluster have: 5,000 nodes (Kubernetes' own bound) of 200 CPUs."""

_MOST_BYTES = 2**63
"""What a number of bytes is below, in Kubernetes and in every program that it is told to."""

_LONGEST = 100 * 365 * 86400
"""A hundred years in seconds: as long as Prometheus keeps anything. Programs of Go count nanoseconds, for 292 years."""

_TIMES = {"milliseconds": 0.001, "seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}
_DURATION = re.compile(r"0*[1-9]\d*[smh]", re.ASCII)
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?", re.ASCII)
_UNITS = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}


def _parse(where: str, text: str, example: str) -> Decimal:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise SettingError(where, text, f"Give a positive Kubernetes quantity, such as {example}.")
    amount = Decimal(match[1]) * _UNITS[match[2] or ""]
    if amount <= 0:
        raise SettingError(where, text, f"Give more than zero, such as {example}.")
    return amount


def millicores(where: str, text: str) -> int:
    """CPU in thousandths of a core: ``"0.5"`` and ``"500m"`` are 500."""
    amount = _parse(where, text, "'250m' or '2'") * 1000
    if amount >= _MOST_CORES * 1000:
        raise SettingError(
            where, text, "No cluster has so many: 'm' is a thousandth and 'M' a million. Give '250m' or '2'."
        )
    if amount != int(amount):
        raise SettingError(where, text, "Kubernetes counts CPU in thousandths: give a multiple of '1m'.")
    return int(amount)


def in_bytes(where: str, text: str) -> int:
    """Memory or storage in bytes: ``"1Gi"`` is 1073741824."""
    amount = _parse(where, text, "'256Mi' or '10Gi'")
    if amount < 1024 or amount != int(amount):
        raise SettingError(where, text, "Give whole bytes, at least '1Ki', such as '256Mi'.")
    if amount >= _MOST_BYTES:
        raise SettingError(where, text, "Give less than '8Ei': Kubernetes counts no further.")
    return int(amount)


def seconds(where: str, text: str) -> int:
    """A time in seconds: ``"90s"``, ``"5m"`` or ``"1h"``."""
    if not _DURATION.fullmatch(text):
        raise SettingError(where, text, "Give '30s', '5m' or '1h'.")
    amount = int(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]
    if amount > _LONGEST:
        raise SettingError(where, text, f"Give at most '{_LONGEST // 3600}h', which is 100 years.")
    return amount


def longest(field: str) -> int | None:
    """The most that a field may be, where its name ends with a unit of time, as that of ``retention_days`` does."""
    unit = _TIMES.get(field.rpartition("_")[2])
    return round(_LONGEST / unit) if unit else None


def duration_text(amount: int) -> str:
    """Seconds as operators of Kubernetes write a time back: ``1h0m0s``."""
    hours, minutes = f"{amount // 3600}h" if amount >= 3600 else "", f"{amount // 60 % 60}m"
    return f"{hours}{minutes if amount >= 60 else ''}{amount % 60}s"


def cpu_text(amount: int) -> str:
    """Millicores as the API server writes them back: 1000 is ``"1"``, 250 is ``"250m"``."""
    return str(amount // 1000) if amount % 1000 == 0 else f"{amount}m"


def bytes_text(amount: int) -> str:
    """Bytes in the largest binary unit that is exact, as the API server writes them back."""
    for unit in ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki"):
        count, rest = divmod(amount, int(_UNITS[unit]))
        if count and not rest:
            return f"{count}{unit}"
    return str(amount)


@dataclass(frozen=True, kw_only=True)
class Compute:
    """CPU, memory and disk that a container is promised, and the most it may use.

    A limit that is not given equals the request: memory is then never overcommitted, and the CPU is not shared.
    Values are kept in canonical form (``"1000m"`` becomes ``"1"``), so a deployed object never differs from its file.

    Args:
        cpu: CPU requested, in cores or millicores.
        memory: Memory requested.
        cpu_limit: Most CPU; the container is slowed beyond it.
        memory_limit: Most memory; the container is killed beyond it.
        ephemeral_storage: Disk of the node for its log and what it writes outside volumes, requested and limited alike;
            its ``Scratch`` volumes are added. The pod is evicted beyond it. A kubelet keeps 5 files of 10Mi of a
            container's log (``containerLogMaxFiles``, ``containerLogMaxSize``), and as much of the container that a
            restart replaced.

    Raises:
        SettingError: A quantity is malformed or not positive, or a limit is below its request.
    """

    cpu: str
    memory: str
    cpu_limit: str = ""
    memory_limit: str = ""
    ephemeral_storage: str = "128Mi"

    def __post_init__(self) -> None:
        """Check the quantities and bring them to canonical form."""
        cpu = millicores("Compute.cpu", self.cpu)
        memory = in_bytes("Compute.memory", self.memory)
        cpu_limit = millicores("Compute.cpu_limit", self.cpu_limit) if self.cpu_limit else cpu
        memory_limit = in_bytes("Compute.memory_limit", self.memory_limit) if self.memory_limit else memory
        if cpu_limit < cpu:
            raise SettingError("Compute.cpu_limit", self.cpu_limit, f"Give at least the request, {cpu_text(cpu)}.")
        if memory_limit < memory:
            raise SettingError(
                "Compute.memory_limit", self.memory_limit, f"Give at least the request, {bytes_text(memory)}."
            )
        for field, text in (
            ("cpu", cpu_text(cpu)),
            ("memory", bytes_text(memory)),
            ("cpu_limit", cpu_text(cpu_limit)),
            ("memory_limit", bytes_text(memory_limit)),
            ("ephemeral_storage", bytes_text(in_bytes("Compute.ephemeral_storage", self.ephemeral_storage))),
        ):
            object.__setattr__(self, field, text)

    @property
    def requests(self) -> Amount:
        """What is promised."""
        return Amount(cpu=millicores("cpu", self.cpu), memory=in_bytes("memory", self.memory), disk=self._disk)

    @property
    def limits(self) -> Amount:
        """What may be used at most."""
        return Amount(
            cpu=millicores("cpu", self.cpu_limit), memory=in_bytes("memory", self.memory_limit), disk=self._disk
        )

    @property
    def _disk(self) -> int:
        return in_bytes("ephemeral_storage", self.ephemeral_storage)

    def __str__(self) -> str:
        return f"{self.cpu} CPU, {self.memory} → {self.cpu_limit} CPU, {self.memory_limit}"


@dataclass(frozen=True, kw_only=True)
class Amount:
    """Summed CPU (millicores), memory and disk of the node (bytes): the arithmetic behind quota and budget."""

    cpu: int = 0
    memory: int = 0
    disk: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(cpu=self.cpu + other.cpu, memory=self.memory + other.memory, disk=self.disk + other.disk)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(cpu=self.cpu - other.cpu, memory=self.memory - other.memory, disk=self.disk - other.disk)

    def __mul__(self, times: int) -> Amount:
        return Amount(cpu=self.cpu * times, memory=self.memory * times, disk=self.disk * times)

    def at_least(self, other: Amount) -> Amount:
        """The larger of each."""
        return Amount(
            cpu=max(self.cpu, other.cpu), memory=max(self.memory, other.memory), disk=max(self.disk, other.disk)
        )

    def at_most(self, other: Amount) -> Amount:
        """The smaller of each."""
        return Amount(
            cpu=min(self.cpu, other.cpu), memory=min(self.memory, other.memory), disk=min(self.disk, other.disk)
        )

    @property
    def resources(self) -> dict[str, str]:
        """The amounts by the names that Kubernetes has for them, in canonical form."""
        return {
            "cpu": cpu_text(self.cpu),
            "memory": bytes_text(self.memory),
            "ephemeral-storage": bytes_text(self.disk),
        }

    def __str__(self) -> str:
        said = f"{cpu_text(self.cpu)} CPU, {bytes_text(self.memory)}"
        return f"{said}, {bytes_text(self.disk)} of disk" if self.disk else said
