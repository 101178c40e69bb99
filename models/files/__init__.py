"""Files that users upload, and the messages and posts that have them."""
