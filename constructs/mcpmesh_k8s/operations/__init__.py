"""This module is how an environment is operated: the commands behind `make k8s-…`, for any such application."""
