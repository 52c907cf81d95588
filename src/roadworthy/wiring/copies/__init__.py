"""Disposable copies of an install, for drills that would hurt the real one."""
