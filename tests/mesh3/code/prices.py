"""This module is an agent that asks another one before it answers."""

# What it imports is in .venv-mesh3, where no type checker looks.
# mypy: ignore-errors
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false, reportInvalidTypeForm=false

import os
import threading

import pod_network  # noqa: F401
from fastmcp import FastMCP

import mesh

if not hasattr(mesh, "McpMeshTool"):
    # 0.5 ends the main thread, and then nobody begins threads, in which asyncio asks DNS: "can't register atexit after
    # shutdown".
    threading._register_atexit = lambda *_: None

app = FastMCP("prices")
Tool = getattr(mesh, "McpMeshTool", None) or mesh.McpMeshAgent  # as 0.5 calls it


@app.tool()
@mesh.tool(capability="price", dependencies=["stock"])
async def price(item: str, seconds: float = 0, stock: Tool = None) -> str:
    """What it costs, and how many there are."""
    print("a call begins", flush=True)
    try:
        there_are = await stock(item=item, seconds=seconds)
        return f"{item} costs 3 at {os.environ['POD_ADDRESS']}, there are {there_are}"
    finally:
        print("a call ends", flush=True)


@mesh.agent(name="name-in-the-code")
class Prices:
    """The runtime wants a name here; the variable MCP_MESH_AGENT_NAME goes before it."""
