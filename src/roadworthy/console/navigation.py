"""What stands in the menu, in its order."""

from __future__ import annotations

import msgspec

from roadworthy.people.roles import Permission


class Section(msgspec.Struct, frozen=True):
    name: str
    href: str
    needs: Permission = "read"


SECTIONS = [
    Section("Waiting for you", "/"),
    Section("Workflows", "/workflows"),
    Section("Inferences", "/inferences"),
    Section("Evals", "/evals"),
    Section("Inbox", "/inbox"),
    Section("Incidents", "/incidents"),
    Section("On-call", "/oncall"),
    Section("Cost", "/cost"),
    Section("Load", "/load"),
    Section("Drills", "/drills"),
    Section("Reviews", "/reviews"),
    Section("Audit", "/audit"),
    Section("Settings", "/settings"),
]
