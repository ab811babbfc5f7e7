"""A recogniser of your own words from a text file alone."""
