"""The swappable part: one file a provider, and the table of embedders."""
