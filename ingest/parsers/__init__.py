"""One file a format, listed in `ingest.parsing.PARSERS`; each defines FORMAT, SUFFIXES, `accepts` and `parse`."""
