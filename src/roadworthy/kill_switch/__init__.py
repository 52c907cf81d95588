"""Stopping a workflow: who pressed, what is in force, who has confirmed it, and the way back."""
