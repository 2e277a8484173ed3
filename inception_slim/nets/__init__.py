"""The networks, one file each, and their index, `inception`."""
