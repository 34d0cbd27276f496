"""Another team's agent in the trip planner's mesh: `python weather.py` writes dist/weather, a namespace of its own."""

import mcpmesh_k8s as mcpmesh

FORECAST = mcpmesh.AgentSettings(
    name="forecast",
    code=mcpmesh.BuiltImage(image=mcpmesh.Image(repository="registry.example.com/weather/forecast", tag="0.9.4")),
    compute=mcpmesh.Compute(cpu="100m", memory="256Mi", cpu_limit="500m", memory_limit="512Mi"),
    module="forecast",
    # Spans go to the mesh's Redis, which is the other team's own.
    tracing=False,
)
REGISTRY_HOST = "trip-planner-registry.trip-planner.svc.cluster.local"


def pods(name: str) -> mcpmesh.NamespacePods:
    """Pods of the trip planner."""
    return mcpmesh.NamespacePods(namespace="trip-planner", labels=(("app.kubernetes.io/name", f"trip-planner-{name}"),))


# Each side says whom it means: the trip planner lets this agent to its registry, and this agent its planner in.
REGISTRY = mcpmesh.External(
    name="the trip planner's registry",
    hosts=(REGISTRY_HOST,),
    port=8000,
    peer=pods("registry"),
    introduction=mcpmesh.variables({"MCP_MESH_REGISTRY_URL": f"http://{REGISTRY_HOST}:8000"}),
)

weather = mcpmesh.Application(mcpmesh.ApplicationSettings(name="weather"), outdir="dist/weather")
foundation, services = (mcpmesh.Phase(weather, name) for name in ("foundation", "services"))
mcpmesh.Namespace(foundation, mcpmesh.NamespaceSettings(budget=mcpmesh.Budget(cpu="1", memory="2Gi")))
forecast = mcpmesh.Agent(services, FORECAST)
forecast.connects_to(REGISTRY)
forecast.accepts_from(pods("planner"))
weather.synth()
