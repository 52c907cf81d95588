"""What joins escalations to gateways, evals, ramps and users."""
