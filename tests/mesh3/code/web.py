"""This module is an API service: it asks the mesh for what people ask it."""

# What it imports is in .venv-mesh3, where no type checker looks.
# mypy: ignore-errors
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false, reportInvalidTypeForm=false

import pod_network  # noqa: F401
from fastapi import FastAPI, HTTPException

import mesh

app = FastAPI()
Tool = getattr(mesh, "McpMeshTool", None) or mesh.McpMeshAgent  # as 0.5 calls it


@app.get("/health")
async def health() -> dict[str, str]:
    """It is well as long as it answers."""
    return {"status": "healthy"}


@app.get("/price")
@mesh.route(dependencies=["price"])
async def price(item: str, seconds: float = 0, price: Tool = None) -> dict[str, str]:
    """The answer of an agent that asks another one."""
    if price is None:
        raise HTTPException(503, "nobody says prices")
    try:
        return {"said": str(await price(item=item, seconds=seconds))}
    except Exception as error:
        raise HTTPException(500, repr(error)) from error
