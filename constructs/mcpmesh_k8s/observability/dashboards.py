"""This module is the dashboards of an application as a component, which its Grafana finds."""

from __future__ import annotations

from collections.abc import Sequence

from constructs import Construct

from mcpmesh_k8s.kubernetes import Component, File, Manifest, SettingError, dataclass
from mcpmesh_k8s.services import Grafana, SourceKind

from ._dashboards import ABOUT, made, rendered


@dataclass(frozen=True, kw_only=True)
class DashboardsSettings:
    """Which dashboards there are.

    Args:
        without: Those that are left out, such as ``("models",)``.
    """

    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse names that are none: nothing would be left out."""
        for name in self.without:
            if name not in ABOUT:
                raise SettingError("DashboardsSettings.without", name, f"Give some of {', '.join(ABOUT)}.")


class Dashboards(Component):
    """Dashboards of what is in the tree: the way in, agents, models, stores, room, logs, alerts.

    The application's Grafana finds them. Each has only the panels for which it has a data source.

    Args:
        scope: A Phase.
        settings: Which there are.
    """

    def __init__(self, scope: Construct, settings: DashboardsSettings) -> None:
        super().__init__(scope, "dashboards", "dashboards")
        self.settings = settings

    def dashboards(self, sources: Sequence[SourceKind]) -> tuple[File, ...]:
        """Each as a JSON file, the overview first."""
        asked = {source.value for source in sources}
        return tuple(
            File(path=f"{dashboard.name}.json", content=rendered(dashboard))
            for dashboard in made(self.application, asked, self.settings.without)
        )

    def problems(self) -> Sequence[str]:
        """Where nobody would show them."""
        if self.application.find_all(Grafana):
            return ()
        return (f"{self.full_name} are shown by a Grafana of the application, and it has none: add Grafana(…).",)

    def manifests(self) -> list[Manifest]:
        """None of its own: Grafana mounts them."""
        return []
