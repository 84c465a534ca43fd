"""From what a person types to a network with its weights."""
