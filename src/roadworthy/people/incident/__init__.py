"""Something that a person must look at."""
