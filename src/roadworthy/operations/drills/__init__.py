"""Faults and stops on purpose, and what they show: run, kept, turned into evidence."""
