"""Attacks by ordinary accounts and strangers, and what 50 ordinary senders feel of them."""
