"""The load clients: raw HTTP connections, closed and open loops, readers, and the people who send."""
