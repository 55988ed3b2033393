"""From files to data for a network: reading, encoding columns, texts and images, and splitting into three sets."""
