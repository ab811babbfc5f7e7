"""From a list of phrases to a model that recognises them, with a report."""
