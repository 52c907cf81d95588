"""``forget``: delete what is known of a user."""

from __future__ import annotations

import click

from roadworthy.cli import words
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import BadInput, Finding
from roadworthy.cli.terminal import line


@click.command()
@click.argument("user")
@click.option("--yes", is_flag=True, help="Do not ask.")
@common
@json_option
@pass_work
def forget(work: Work, user: str, yes: bool) -> None:
    """Delete everything recorded of USER, for good, and verify by search that it is gone.

    The user stays forgotten: what arrives late, is imported or restored from a backup is deleted as well.
    """
    if not yes:
        if not work.interactive:
            raise BadInput("forget deletes for good and there is nobody to ask", "add --yes")
        click.confirm(f"Delete every inference of {line(user)!r} for good?", abort=True)
    answer = work.admin.post("/v1/forget", {"unit": user}, timeout=3600.0)
    counts = answer.get("deleted", answer.get("counts", {}))
    left = answer.get("left", answer.get("remaining", {}))
    if work.json:
        work.emit(answer)
    else:
        for store, number in counts.items():
            work.say(f"{line(str(store))}: deleted {words.plural(int(number), 'row')}")
        for store, number in left.items():
            if number:
                work.say(f"{line(str(store))}: still found {number} times")
    if any(left.values()):
        raw = all(store.startswith("bytes of ") for store, number in left.items() if number)
        mend = "run `roadworthy forget` again and report it"
        if raw:
            mend = f"in raw files only, where so short an id may be part of other words; {mend} if it is not"
        raise Finding(f"the search still finds {line(user)!r}", mend)
    if not work.json:
        searched = f": a search of {', '.join(left)} finds nothing" if left else ""
        work.say(f"Forgot {line(user)!r}{searched}.")
