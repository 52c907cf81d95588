"""Every alert there is, what it means, what to check and what to do; the one place that says which wake a person."""
