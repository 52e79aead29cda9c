"""Business views against independent recomputations; how to add one stands in tests/views/landed.py."""
