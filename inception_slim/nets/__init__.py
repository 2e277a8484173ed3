"""The Inception networks, one module each; all are in `inception` and described in `registry`."""

# Pooling of the pooled branches: TF-Slim's average leaves out the padding, PyTorch's Inception V3
# includes the zeros, and the network of 2015 takes the maximum in its last block.
POOLINGS = ('average', 'padded', '2015')
