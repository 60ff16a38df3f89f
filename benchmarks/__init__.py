"""Side-by-side measurements; each prints what it compares. CPU-seconds: they are steadier than wall time."""
