"""docs/results.md, made by commands: measure, keep what was measured in docs/results/, write the page from it."""
