"""What the operator facts of all formats have in common: the module that an operator came from, and its arithmetic."""
