"""The nouns that every wing shares: plain data, standard library and numpy only."""
