"""The networks of the model library."""
