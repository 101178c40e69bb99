"""Attacks by ordinary accounts and strangers, and their effect on 50 ordinary senders."""
