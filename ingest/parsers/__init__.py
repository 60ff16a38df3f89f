"""One file a format: each says what it accepts and turns it into a `ParsedDocument`."""
