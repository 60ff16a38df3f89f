"""One file a tab of the application."""
