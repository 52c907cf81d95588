"""An app that already calls a model becomes a workflow."""
