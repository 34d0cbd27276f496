"""This module is the dashboards of an application: one module each, made of what is in the tree."""

from .component import Dashboards, DashboardsSettings
from .making import made, rendered

__all__ = ["Dashboards", "DashboardsSettings", "made", "rendered"]
