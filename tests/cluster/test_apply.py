"""What we render is taken by a real API server as it stands, and a second time nothing changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ai_interviewer import AiInterviewer
from cluster.environment import APPLY, MANAGER, Deployed, read_folder


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


SHARED = {"ClusterRole", "ClusterRoleBinding", "Namespace", "PriorityClass"}
"""The kinds of what is rendered and is in no namespace: each name says whose it is."""


def test_another_one_of_the_application_in_the_cluster_leaves_this_one_alone(
    expendable: Deployed, tmp_path: Path
) -> None:
    namespace = f"{expendable.namespace}-two"
    AiInterviewer(replace(expendable.settings, namespace=namespace), outdir=tmp_path / "two").synth()
    others = read_folder(tmp_path / "two")
    before = versions(expendable)
    expendable.do("cordon", *(node.name for node in expendable.machines.nodes))  # there is no room for both
    try:
        # Not in our namespace: a manifest that did not say its own would be refused.
        done = expendable.kubectl(*APPLY, "--filename", tmp_path / "two", "--namespace", namespace)
        assert (done.returncode, done.stderr) == (0, "")
        assert len(done.stdout.splitlines()) == len(others)
        assert versions(expendable) == before
        shared = [one for one in others if "namespace" not in one["metadata"]]
        assert {one["kind"] for one in shared} == SHARED
    finally:
        expendable.do("delete", "namespace", namespace, "--ignore-not-found")
        for kind in sorted(SHARED - {"Namespace"}):
            names = [one["metadata"]["name"] for one in others if one["kind"] == kind]
            expendable.do("delete", kind, "--ignore-not-found", *names)


def versions(deployed: Deployed) -> dict[tuple[str, str], str]:
    """The version of each object, but of a claim that nothing has mounted: the API server writes it again as it is.

    A quota counts by itself, so of it what it allows.
    """
    found = deployed.look("--filename", deployed.rendered)
    return {
        (one["kind"], one["metadata"]["name"]): str(
            one["spec"] if one["kind"] == "ResourceQuota" else one["metadata"]["resourceVersion"]
        )
        for one in found
        if one.get("status", {}).get("phase") != "Pending"
    }
