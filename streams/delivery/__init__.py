"""Telling people about alerts: which channels, when, in which words, and exactly what is still owed to whom."""
