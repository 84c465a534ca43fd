"""From raw samples to the figures that are shown."""
