# ruff: noqa: E501  (a pattern is read as one line)
"""Keys, tokens and private keys, by the shapes that their issuers give them; none that the caller sent itself."""

from __future__ import annotations

import re

from roadworthy.fallback.checks.model import Context, Finding, TextCheck
from roadworthy.fallback.checks.patterns import Patterns
from roadworthy.workflow.model import CheckSpec

_BEFORE = r"(?:^|[^A-Za-z0-9_-])"

SHAPES: tuple[tuple[str, str], ...] = (
    ("a private key", r"(-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----)"),
    ("an OpenAI or Anthropic key", _BEFORE + r"(sk-(?:proj-|svcacct-|admin-|ant-[a-z0-9]+-)?[A-Za-z0-9_-]{20,200})"),
    ("an AWS key", _BEFORE + r"((?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16})(?:$|[^A-Za-z0-9])"),
    ("a GitHub token", _BEFORE + r"((?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,255}))"),
    ("a GitLab token", _BEFORE + r"(gl(?:pat|ptt|rt|dt|cbt)-[A-Za-z0-9_-]{20,64})"),
    ("a Slack token", _BEFORE + r"(xox[abeoprs]-[A-Za-z0-9-]{20,255}|xapp-[0-9]-[A-Za-z0-9-]{20,255})"),
    ("a Slack webhook", r"(https://hooks\.slack\.com/services/T[A-Z0-9]{6,}/B[A-Z0-9]{6,}/[A-Za-z0-9]{16,})"),
    ("a Google key", _BEFORE + r"(AIza[A-Za-z0-9_-]{35}|GOCSPX-[A-Za-z0-9_-]{28}|ya29\.[A-Za-z0-9_-]{40,255})"),
    ("a Stripe key", _BEFORE + r"((?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,247}|whsec_[A-Za-z0-9+/=]{24,128})"),
    ("a Twilio key", _BEFORE + r"(SK[0-9a-f]{32})(?:$|[^0-9a-f])"),
    ("a SendGrid key", _BEFORE + r"(SG\.[A-Za-z0-9_-]{20,24}\.[A-Za-z0-9_-]{39,50})"),
    ("an npm, PyPI or Hugging Face token", _BEFORE + r"(npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,250}|hf_[A-Za-z]{34})"),
    ("a Roadworthy key", _BEFORE + r"(rwt?-[A-Za-z0-9_-]{40})"),
    ("a signed token", _BEFORE + r"(eyJ[A-Za-z0-9_-]{10,250}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,})"),
    ("a storage key", r"(?i)(AccountKey=[A-Za-z0-9+/]{86}==)"),
    ("a password in a URL", r"(?:^|[^A-Za-z0-9+.-])([a-z][a-z0-9+]{1,15}://[^\s/:@<>{}\"']{1,64}:[^\s/:@<>{}\"']{3,64}@[A-Za-z0-9.-]+)"),
    ("a bearer token", r"(?i)authorization['\"]?\s*[:=]\s*['\"]?(?:bearer|basic)\s+([A-Za-z0-9+/_.=-]{24,250})"),
)  # fmt: skip

_PLACEHOLDER = re.compile(
    r"(?i)x{4,}|\*{3}|\.{3}|example|placeholder|your[_-]?|dummy|sample|redacted|insert|user:pass|:pass(?:word)?@|0{8}|1234567"
)
_FEWEST_DIFFERENT = 8
"""Distinct characters that a real key has at least; ``sk-aaaaaaaaaaaaaaaaaaaaaaaa`` stands for one."""


class Secrets:
    def __init__(self) -> None:
        self._patterns = Patterns(SHAPES)

    def __call__(self, text: str, context: Context) -> Finding | None:
        for what, value, span in self._patterns.every(text):
            if _PLACEHOLDER.search(value) or len(set(value)) < _FEWEST_DIFFERENT or value in context.sent:
                continue
            return Finding(f"holds {what}", span=span)
        return None


def build(spec: CheckSpec) -> TextCheck:
    return Secrets()
