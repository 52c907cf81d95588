"""placeholder while wiring lands"""

from bench.peers.base import NotInstalled, Peer


class Roadworthy(Peer):
    name = "roadworthy"
    title = "Roadworthy"
    about = ""

    def install(self) -> str:
        raise NotInstalled("`roadworthy up` is not built yet")
