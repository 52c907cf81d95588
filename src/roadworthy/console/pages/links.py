"""Links of a page that was mailed, and what PagerDuty tells us.

GET  /link/{token}      what the link would do, for whom and until when; changes nothing, however often it is fetched
POST /link/{token}      does it, once: the link is the authority, nobody has to be signed in, and nobody becomes so
POST /hooks/pagerduty   a V3 webhook, signed: 200 taken or ignored, 400 malformed, 403 not signed, 404 none is expected

The pages have no script.  ``Referrer-Policy`` stays ``same-origin``: with ``no-referrer`` a browser posts the form with
``Origin: null``, which the guard refuses, as it must.
"""

from __future__ import annotations

from starlette.responses import PlainTextResponse, Response

from roadworthy.console.access import Visit
from roadworthy.console.app import Answer, Page, View
from roadworthy.operations.paging.acting import ActRefused
from roadworthy.operations.paging.hooks import Forged, NoHook
from roadworthy.operations.services import Services
from roadworthy.people.links.service import LinkRefused
from roadworthy.people.paging.pagerduty import Malformed

GONE, CONFLICT = 410, 409


def show(services: Services, visit: Visit) -> Answer:
    try:
        return View("link.html", {"shown": services.reaching.links.look(visit.path["token"])})
    except LinkRefused as error:
        return View("link_over.html", {"message": str(error)}, GONE)


def act(services: Services, visit: Visit) -> Answer:
    try:
        done = services.reaching.links.act(visit.path["token"], visit.address)
    except LinkRefused as error:
        return View("link_over.html", {"message": str(error)}, GONE)
    except ActRefused as error:
        return View("link_over.html", {"message": str(error)}, CONFLICT)
    return View("link_done.html", {"done": done})


def pagerduty(services: Services, visit: Visit) -> Response:
    try:
        return PlainTextResponse(services.reaching.hook.take(visit.headers, visit.body) + "\n")
    except NoHook:
        return PlainTextResponse("no channel of roadworthy.yaml has signed_by\n", 404)
    except Forged:
        return PlainTextResponse("X-PagerDuty-Signature does not belong to this body and secret\n", 403)
    except Malformed as error:
        return PlainTextResponse(f"not a V3 webhook: {error}\n", 400)


PAGES = [
    Page("GET", "/link/{token}", "anyone", show),
    Page("POST", "/link/{token}", "anyone", act),
    Page("POST", "/hooks/pagerduty", "anyone", pagerduty, foreign=True),
]
