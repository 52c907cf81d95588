"""One module per wire that targets speak, and the two targets that we launch ourselves."""
