"""What ships: workflow, release, target, policy, and the words that everything shares."""
