"""The AI Interviewer as it grew: eight agents on MCP Mesh 0.5, with PostgreSQL as the store of most of them."""
