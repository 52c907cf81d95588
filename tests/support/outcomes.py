"""One workflow an outcome, named by it, for claims about what a client makes of each."""

from __future__ import annotations

CANNED = "We will write to you tomorrow."
HOLDING = "A colleague answers you today."
BLOCKED = "We cannot show this."
OUTCOMES = ("answered", "recovered", "cached", "canned", "escalated", "blocked", "limited", "bypassed", "error")
"""``cached`` from the second call of a question on."""
RELEASED = tuple(name for name in OUTCOMES if name != "bypassed")
"""To be proven; what is not is bypassed."""

_APPS_OWN = (
    "[tools, tool_choice, response_format, temperature, top_p, max_tokens, max_completion_tokens, stop, "
    "parallel_tool_calls, reasoning_effort]"
)
TARGETS = (
    "  main: {provider: simulated, model: sim-main, simulation: main.yaml, price: {input: 1, output: 2, per: 1M}}\n"
    "  down: {provider: openai, model: none, endpoint: 'http://127.0.0.1:9/v1', allow_private: true, "
    "price: {input: 1, output: 2}, breaker: {calls: 100000}}\n"
)
SIMULATION = (
    "output_tokens: 12\nfaults:\n  - {fault: content, as: text, text: Refunds guaranteed., marker: promise refunds}\n"
)
"""``main.yaml``"""
_PROMPTS = {"blocked": "You promise refunds.\n"}
_HAS = {
    "answered": "target: main\nladder: {unavailable: [], slow: [], truncated: [], invalid: []}\n",
    "recovered": "target: down\nladder: {unavailable: [target: main]}\n",
    "cached": "target: main\ncache: {use: always, shared: true}\n",
    "canned": f"target: down\ncanned: {{text: {CANNED}}}\nladder: {{unavailable: [canned]}}\n",
    "escalated": f"target: down\nholding: {{text: {HOLDING}}}\nladder: {{unavailable: [escalate]}}\n",
    "blocked": (
        f"target: main\nblocked: {{text: {BLOCKED}}}\nladder: {{invalid: [drop]}}\n"
        # not unsafe: of those a trigger of the kill switch bears few
        "checks: {forbidden: {phrases: [refunds guaranteed], failure: invalid}}\nstream: buffered\n"
    ),
    "limited": "target: main\nladder: {overspent: []}\n",
    "bypassed": "target: main\n",
    "error": "target: down\nladder: {unavailable: []}\n",
}
_POLICY = {
    "limited": "policy: {projected_peak: 10, budgets: {workflow: {day: 0.0000001}}}\n",
}


def workflows() -> dict[str, str]:
    """Files of all of them; they name the targets ``main`` and ``down``."""
    files = {}
    for name, text in _HAS.items():
        policy = _POLICY.get(name, "policy: {projected_peak: 10}\n")
        files[f"workflows/{name}/workflow.yaml"] = (
            f"owners: {{workflow: ada, prompt: ada, cost: ada}}\nbypass: app\n{policy}"
            f"prompt: {{mode: managed, system: prompt.md}}\ncaller_overrides: {_APPS_OWN}\n{text}"
        )
        files[f"workflows/{name}/prompt.md"] = _PROMPTS.get(name, "You answer customers.\n")
    return files
