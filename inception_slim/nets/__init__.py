"""The networks, one file each, and their index, `inception`."""

# How the pooled branches pool: TF-Slim averages what is there at the border of the grid, PyTorch's
# Inception V3 counts the zeros around it, and that of 2015 takes the maximum in its last block.
POOLINGS = ('average', 'padded', '2015')
