"""An agent that keeps files in a managed S3 in place of MinIO: `python managed_s3.py` writes dist/files."""

import mcpmesh_k8s as mcpmesh

FILES = mcpmesh.AgentSettings(
    name="files",
    code=mcpmesh.BuiltImage(image=mcpmesh.Image(repository="acme/files", tag="1.0.3")),
    compute=mcpmesh.Compute(cpu="100m", memory="256Mi", cpu_limit="500m", memory_limit="512Mi"),
    module="files",
    # Spans go to the mesh's Redis, which is the other team's own.
    tracing=False,
)
HOST = "s3.eu-central-1.amazonaws.com"

application = mcpmesh.Application(mcpmesh.ApplicationSettings(name="files"), outdir="dist/files")
foundation, services = (mcpmesh.Phase(application, name) for name in ("foundation", "services"))
mcpmesh.Namespace(foundation, mcpmesh.NamespaceSettings(budget=mcpmesh.Budget(cpu="1", memory="2Gi")))
keys = mcpmesh.Secret(
    foundation,
    mcpmesh.SecretSettings(name="s3", keys=("access-key", "secret-key"), source=mcpmesh.ExistingSecrets()),
)

# What MinIO would have introduced itself with; the policy opens the way out on 443.
S3 = mcpmesh.External(
    name="managed S3",
    hosts=(HOST,),
    peer=mcpmesh.Internet(),
    introduction=mcpmesh.variables(
        {
            "MINIO_ENDPOINT": f"{HOST}:443",
            "MINIO_ACCESS_KEY": keys.key("access-key"),
            "MINIO_SECRET_KEY": keys.key("secret-key"),
        }
    ),
)
# The mesh is another team's, in a namespace of its own.
MESH = mcpmesh.External(
    name="mesh registry",
    hosts=("registry.mesh",),
    port=8000,
    peer=mcpmesh.NamespacePods(namespace="mesh", labels=(("app", "registry"),)),
    introduction=mcpmesh.variables({"MCP_MESH_REGISTRY_URL": "http://registry.mesh:8000"}),
)
mcpmesh.Agent(services, FILES).connects_to(S3, MESH)
application.synth()
