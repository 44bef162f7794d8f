"""Benchmarks that run next to peers in one process (`make bench`). They are not tests."""
