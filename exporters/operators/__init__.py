"""What is known of operators in all formats: their module and arithmetic, what the delegate takes, what int8 would lose."""
