"""Data on their way to a network: files read, columns, texts and images as numbers, and the cut into three sets."""
