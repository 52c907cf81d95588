"""The weekly, monthly and quarterly look at a workflow, with its signed report."""
