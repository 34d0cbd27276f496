"""This module is an agent of one tool; its name, host, port and addresses come from its variables."""

# What it imports is in .venv-mesh, where no type checker looks.
# mypy: ignore-errors
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false

from _mcp_mesh.shared.host_resolver import HostResolver
from fastmcp import FastMCP

import mesh

# A pod listens on every address of its own network. A test machine is no pod: here we stay on loopback.
HostResolver.get_binding_host = staticmethod(lambda: "127.0.0.1")

app = FastMCP("sample")


@app.tool()
@mesh.tool(capability="echo")
def echo(text: str) -> str:
    """Return the text."""
    return text


@mesh.agent(name="name-in-the-code")
class SampleAgent:
    """The runtime wants a name here; the variable MCP_MESH_AGENT_NAME goes before it."""
