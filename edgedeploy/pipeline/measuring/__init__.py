"""What `bench` is asked for, how long it measures, and two artifacts in turns."""
