"""This package is the code of an agent with nothing in it: one tool, and no setting of its own."""
