"""This module is the application's images: built from its checkout, into minikube or for a registry."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from pathlib import Path

from .environment import Build, Environment, Minikube
from .programs import OperationError, UsageError, captured, output, require, stream
from .terminal import progress, show

_EXPORT = re.compile(r'^export (\w+)="(.*)"$', re.MULTILINE)


def choose_builds(environment: Environment, names: Sequence[str]) -> tuple[Build, ...]:
    """The images of some workloads, of all unless some are named.

    Raises:
        UsageError: A workload has no image that is built.
    """
    builds = {build.workload: build for build in environment.builds}
    unknown = [name for name in names if name not in builds]
    if unknown:
        raise UsageError(f"No image is built for {', '.join(unknown)}. There are: {', '.join(builds)}.")
    return tuple(builds[name] for name in names) if names else tuple(builds.values())


def require_checkout(checkout: Path, builds: Sequence[Build]) -> None:
    """Refuse to begin when the checkout, a Dockerfile or a folder that is copied from is missing.

    Raises:
        OperationError: All that is missing, in one line.
    """
    advice = "APP_DIR=<folder> names the application's checkout."
    if not checkout.is_dir():
        raise OperationError(f"{checkout} is no folder. {advice}")
    missing = [build.dockerfile for build in builds if not (checkout / build.dockerfile).is_file()]
    missing += [f"{build.build_context}/" for build in builds if not (checkout / build.build_context).is_dir()]
    if missing:
        raise OperationError(f"{checkout} has no {', '.join(dict.fromkeys(missing))}. {advice}")


def docker_variables(minikube: Minikube | None) -> dict[str, str]:
    """The variables by which Docker builds where the cluster finds the image: inside minikube, or here."""
    if minikube is None:
        return {}
    text = output(["minikube", "--profile", minikube.profile, "docker-env", "--shell=bash"])
    variables = dict(_EXPORT.findall(text))
    if "DOCKER_HOST" not in variables:
        raise OperationError("minikube names no Docker daemon. Start it with --container-runtime=docker.")
    return variables


def build_images(
    minikube: Minikube | None, checkout: Path, builds: Sequence[Build], *, push: bool = False
) -> Generator[tuple[Build, bool]]:
    """Build images, each with whether it is another one than before, as soon as it is there.

    Args:
        minikube: Where they are built; Docker's own images unless given.
        checkout: The application's checkout.
        builds: Which images.
        push: Whether they are pushed to their registry too.

    Raises:
        OperationError: Something is missing, found before the first build; or a build fails, which ends the work.
    """
    require("docker", *(("minikube",) if minikube else ()))
    require_checkout(checkout, builds)
    if push and minikube:
        raise UsageError("These images are built into minikube. There is nowhere to push to.")
    variables = docker_variables(minikube)
    with progress("images", len(builds)) as steps:
        for number, build in enumerate(builds, start=1):
            name = build.image.reference
            steps.step(f"build of {name}")
            show(f"--- {number} of {len(builds)}: {name}")
            before = image_id(name, variables)
            command = ["docker", "build", "--tag", name, "--file", str(checkout / build.dockerfile)]
            if stream([*command, str(checkout / build.build_context)], variables=variables):
                raise OperationError(f"The image {name} was not built: see above. Those before it were.")
            if push and stream(["docker", "push", name], variables=variables):
                raise OperationError(
                    f"The image {name} was not pushed: see above. Those before it were. Is docker logged in to its "
                    "registry?"
                )
            yield build, image_id(name, variables) != before


def image_id(name: str, variables: dict[str, str]) -> str:
    """What an image is now; empty when there is none."""
    command = ["docker", "image", "inspect", "--format={{.Id}}", name]
    return captured(command, variables=variables, allowed=(0, 1)).stdout.strip()
