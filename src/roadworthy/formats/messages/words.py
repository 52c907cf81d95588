"""Words that both directions share: what one format calls what the other has, too."""

from __future__ import annotations

import re

ANSWER_TOOL = "roadworthy_answer"
"""The tool whose input is the answer where a schema is asked for that structured outputs cannot enforce."""

FAILED = "The tool call failed.\n"
"""How chat completions, which have no ``is_error``, say it of a tool's result: its first line."""

UNNAMED = "document.pdf"
"""File name of a document without a title; chat completions take no file without a name."""

IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
PDF = "application/pdf"

ANTHROPICS = re.compile(r"[a-z][a-z0-9_]*_2[0-9]{7}|mcp_toolset")
"""Types of tools that Anthropic defines (``web_search_20250305``)."""

EFFORTS = ("low", "medium", "high", "xhigh", "max")
