"""The objects that contain the bytes of files: their rows, and the folder or bucket that keeps them."""
