"""What we render is taken by a real API server as it stands, and a second time nothing changes."""

from __future__ import annotations

from cluster.environment import APPLY, MANAGER, Deployed


def test_every_object_is_taken_with_strict_validation_and_without_a_warning(deployed: Deployed) -> None:
    assert deployed.applied.stderr == ""
    assert len(deployed.applied.stdout.splitlines()) == len(deployed.manifests())
    assert len(deployed.look("--filename", deployed.rendered)) == len(deployed.manifests())


def test_a_second_deployment_changes_nothing(deployed: Deployed) -> None:
    before = versions(deployed)
    assert deployed.kubectl(*APPLY, "--filename", deployed.rendered).stderr == ""
    assert versions(deployed) == before


def test_there_is_no_difference_between_what_is_rendered_and_what_is_there(deployed: Deployed) -> None:
    done = deployed.kubectl("diff", "--server-side", MANAGER, "--filename", deployed.rendered)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def versions(deployed: Deployed) -> dict[tuple[str, str], str]:
    found = deployed.look("--filename", deployed.rendered)
    return {(one["kind"], one["metadata"]["name"]): one["metadata"]["resourceVersion"] for one in found}
