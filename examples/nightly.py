"""An object of your own: `python nightly.py` writes dist/nightly, with a CronJob that the library has no class for."""

from mcpmesh_k8s import (
    Application,
    ApplicationSettings,
    Component,
    Compute,
    Container,
    Image,
    Manifest,
    Phase,
    User,
    harden,
    k8s,
)

REPORT = Container(
    name="report",
    image=Image(repository="acme/report", tag="2.1.0"),
    user=User(uid=1000, gid=1000),
    compute=Compute(cpu="100m", memory="128Mi"),
)


class Nightly(Component):
    """A program that runs each night."""

    def manifests(self) -> list[Manifest]:
        """The policy that closes the namespace, and the CronJob."""
        nobody = k8s.NetworkPolicySpec(pod_selector=k8s.LabelSelector(), policy_types=["Ingress", "Egress"])
        pod = k8s.PodSpec(
            restart_policy="Never",
            automount_service_account_token=False,
            security_context=k8s.PodSecurityContext(run_as_non_root=True, run_as_user=harden(REPORT).run_as_user),
            containers=[REPORT.render()],
        )
        template = k8s.PodTemplateSpec(metadata=k8s.ObjectMeta(labels=self.labels()), spec=pod)
        return [
            k8s.KubeNetworkPolicy.manifest(metadata=self.metadata(), spec=nobody),
            k8s.KubeCronJob.manifest(
                metadata=self.metadata(),
                spec=k8s.CronJobSpec(
                    schedule="0 3 * * *",
                    concurrency_policy="Forbid",
                    job_template=k8s.JobTemplateSpec(spec=k8s.JobSpec(template=template)),
                ),
            ),
        ]


shop = Application(ApplicationSettings(name="shop"), outdir="dist/nightly")
Nightly(Phase(shop, "services"), "nightly", "nightly")
shop.synth()
