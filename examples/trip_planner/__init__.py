"""The trip planner: an application on MCP Mesh 3.x, with managed stores, an API of others, and another team's agent."""
