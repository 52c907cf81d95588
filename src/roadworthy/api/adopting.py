"""Adopting an app.

Not served yet: the routes are added with ``operations/adopt.py``.
"""

from __future__ import annotations

from roadworthy.api.app import Endpoint

ENDPOINTS: list[Endpoint] = []
