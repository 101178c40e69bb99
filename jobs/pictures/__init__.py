"""Pictures that were sent: their thumbnails, sizes and orientation, and the removal of metadata."""
