"""What is known of results once they exist: where they come from, how much was observed, what people decided."""
