"""What lets old code run: tf-slim on a TensorFlow that has moved on."""
