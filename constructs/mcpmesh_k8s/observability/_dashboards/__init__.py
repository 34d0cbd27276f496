"""This module is the dashboards of an application, one module each, made of what is in the tree."""

from .making import ABOUT, made, rendered

__all__ = ["ABOUT", "made", "rendered"]
