"""This module stands in for the backend: a web application on the server that its rendered command starts."""

# What it imports is in .venv-mesh, where no type checker looks.
# mypy: ignore-errors
# pyright: basic, reportMissingImports=false

import asyncio

from fastapi import FastAPI

app = FastAPI()


@app.get("/health")
async def health() -> dict[str, str]:
    """It is well as long as it answers."""
    return {"status": "healthy"}


@app.get("/api/slowly")
async def slowly(seconds: float) -> str:
    """An answer that takes its time, as that of a model does."""
    await asyncio.sleep(seconds)
    return "done"


@app.get("/api/{name}")
async def anything(name: str) -> str:
    """Whatever else is asked for."""
    return name
