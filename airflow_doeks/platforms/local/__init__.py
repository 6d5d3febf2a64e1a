"""Spark on this machine. Light: `doeks lint` imports this package for its checks."""
