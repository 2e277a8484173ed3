"""The datasets of the model library, as readers of TFRecords on the disk."""
