"""Processes, threads, signals, memory and the command line."""
