"""What maintainers measure: the zoo matrix, converter overhead, the cost of attention."""
