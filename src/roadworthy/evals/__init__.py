"""6 evaluation: hand-labelled examples, scorers, runs through the gateway, and the gate that decides."""
