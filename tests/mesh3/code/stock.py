"""This module is an agent that knows what is in stock: a tool, and a job that takes long."""

# What it imports is in .venv-mesh3, where no type checker looks.
# mypy: ignore-errors
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false

import asyncio
import os

import pod_network  # noqa: F401
from fastmcp import FastMCP

import mesh

app = FastMCP("stock")
print("the code of the agent begins")


@app.tool()
@mesh.tool(capability="stock")
async def stock(item: str, seconds: float = 0) -> str:
    """How many there are, said by which pod."""
    print("a call begins", flush=True)
    await asyncio.sleep(seconds)
    print("a call ends", flush=True)
    return f"7 {item} at {os.environ['POD_ADDRESS']}"


if hasattr(mesh, "MeshJob"):  # which 0.5 has not

    @app.tool()
    @mesh.tool(capability="count", task=True)
    async def count(item: str, job: mesh.MeshJob = None) -> str:
        """Count them all: it takes long."""
        print("counting begins", flush=True)
        try:
            for step in range(600):
                await asyncio.sleep(0.1)
                if job is not None and step % 10 == 0:
                    await job.update_progress(step / 600, "counting")
        except asyncio.CancelledError:
            print("counting was cancelled", flush=True)
            raise
        return "7"


def configured() -> bool:
    """Whether it has what it cannot work without."""
    return os.environ.get("CONFIGURED", "yes") == "yes"


@mesh.agent(name="name-in-the-code", startup_check=configured)
class Stock:
    """The runtime wants a name here; the variable MCP_MESH_AGENT_NAME goes before it."""
