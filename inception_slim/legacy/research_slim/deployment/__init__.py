"""How the model library put a model on several devices."""
