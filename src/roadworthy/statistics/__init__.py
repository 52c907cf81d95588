"""The statistics that the product decides with: the only place that imports numpy."""
