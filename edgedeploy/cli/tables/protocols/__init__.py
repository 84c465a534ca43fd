"""Tables of what `bench` measures by other protocols: in turns, and under continuous load."""
