"""Parts of what the demo says: of long texts the part that matters, and the calls that anybody can make."""

from __future__ import annotations

import json
import shlex

from roadworthy.cli import words
from roadworthy.cli.demo.pilot import Crowd
from roadworthy.cli.demo.proving import Checklist
from roadworthy.cli.demo.system import WORKFLOW
from roadworthy.cli.demo.traffic import Reply, body
from roadworthy.cli.terminal import line
from roadworthy.workflow.inference import SERVED_BY_MODEL

QUESTION = "I was charged twice for my order last week. Please give me my money back!"


def split(crowd: Crowd) -> str:
    others = crowd.users - len(crowd.reached)
    return f"{crowd.users:,} customers call: {len(crowd.reached):,} reach the AI, {others:,} read the bypass."


def allowed(ready: Checklist) -> str:
    share = f"at most {words.share(ready.ceiling)} of users" if ready.ceiling else "named testers only"
    return f"{ready.label}, {share}; {len(ready.shown)} of 10 items shown"


def sentence(text: str) -> str:
    """The first of what the product says."""
    return line(text.split(". ")[0].split("; ")[0])


def about_the_ceiling(refused: str) -> str:
    """Of all the reasons why a ramp may not go on, the one about evidence, if it is among them."""
    why = next((each for each in refused.split("; ") if each.startswith("ceiling: ")), refused)
    return line(why.removeprefix("ceiling: ").split(": `")[0])


def example(replies: list[Reply]) -> str:
    """What the model wrote to the first customer who read a model's words."""
    written = [reply for reply in replies if reply.outcome in SERVED_BY_MODEL]
    return line((written or replies)[0].text, 110)


def curl_line(url: str, token: str, user: str) -> str:
    return (
        f"curl -s {url}/chat/completions \\\n"
        f"  -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' \\\n"
        f"  -d {shlex.quote(json.dumps(body(QUESTION, user)))}"
    )


def python_snippet(url: str, token: str, user: str) -> str:
    return (
        "from openai import OpenAI\n"
        f'client = OpenAI(base_url="{url}", api_key="{token}")\n'
        f'messages = [{{"role": "user", "content": "{QUESTION}"}}]\n'
        f'answer = client.chat.completions.create(model="{WORKFLOW}", user="{user}", messages=messages)\n'
        "print(answer.choices[0].message.content)"
    )
