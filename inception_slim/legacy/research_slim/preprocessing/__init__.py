"""What the model library did to images before the networks saw them."""
