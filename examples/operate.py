"""The shop's own operator's commands: `python operate.py deploy dev`, `python operate.py secrets dev`, and the rest.

Without a command it shows what runs where; `--help` lists the commands.
"""

import sys

from shop import shop

from mcpmesh_k8s.operations import Environment, Minikube
from mcpmesh_k8s.operations.cli import main

ENVIRONMENTS = [Environment(name="dev", cluster=Minikube(), make=lambda: shop)]

if __name__ == "__main__":
    sys.exit(main("python operate.py", ENVIRONMENTS, sys.argv[1:] or ["show", "dev"]))
