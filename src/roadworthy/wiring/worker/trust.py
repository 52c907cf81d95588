"""What a gateway takes for true: which keys sign, what was seen before, where users stand.

``seen.json`` remembers the newest snapshot and the newest receipts that any worker of the folder ever served, so that
an old one is refused also after a restart.  Workers write it under a lock and the greatest wins.  It is no evidence:
who may write the folder may also empty it.
"""

from __future__ import annotations

import fcntl
import logging
import os
from typing import NamedTuple

import msgspec

from roadworthy.adapters.files import write_atomically
from roadworthy.adapters.signatures import Ed25519Verifier
from roadworthy.gateway.admission.proofs import Memory, Notary, Proofs, remembered, vetted
from roadworthy.gateway.admission.sessions import Sessions
from roadworthy.gateway.snapshot import Snapshot
from roadworthy.wiring.folders.data_folder import DataFolder
from roadworthy.workflow.shares import salt_of

log = logging.getLogger("roadworthy.gateway")


class Vetted(NamedTuple):
    """A snapshot that may be served, and what it proves."""

    snapshot: Snapshot
    proofs: Proofs


class Trust:
    """Of one worker."""

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self._notary = Notary(Ed25519Verifier())
        self.salt = salt_of(folder.hmac_key())
        self.sessions = _sessions(folder)
        self._memory = Memory()
        self.unsaved = False
        """Something was served that ``seen.json`` does not hold yet."""

    def vet(self, snapshot: Snapshot) -> Vetted:
        """Raises ``SnapshotRefused`` for one that is old, or that another control signed for."""
        memory = self._memory.joined(recall(self._folder))
        kept = vetted(snapshot, memory, self._folder.public_keys())
        proofs = self._notary.proofs(kept, memory)
        if proofs.forged:
            log.error("signed tokens of the snapshot count for nothing here", extra={"count": proofs.forged})
        return Vetted(kept, proofs)

    def serves(self, served: Vetted) -> None:
        """From now on nothing older is taken."""
        self._memory = self._memory.joined(remembered(*served))
        self.unsaved = True

    def save(self) -> None:
        """Keep what must not come back, over restarts and for the other workers of the folder.

        Waits for the disk; one that refuses is logged, and serving goes on.
        """
        self.unsaved = False
        try:
            lock = os.open(self._folder.seen_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                known = recall(self._folder)
                joined = known.joined(self._memory)
                if joined != known:
                    write_atomically(self._folder.seen_file, msgspec.json.encode(joined))
            finally:
                os.close(lock)
        except OSError as error:
            log.error("what was seen cannot be kept", extra={"error": str(error)})


def recall(folder: DataFolder) -> Memory:
    """Fails open for a file that cannot be read: who can spoil it could as well have emptied it."""
    try:
        return msgspec.json.decode(folder.seen_file.read_bytes(), type=Memory)
    except FileNotFoundError:
        return Memory()
    except (OSError, ValueError, RecursionError) as error:
        log.error("what was seen cannot be read", extra={"error": str(error)})
        return Memory()


def _sessions(folder: DataFolder) -> Sessions:
    try:
        return Sessions(folder.sessions_file)
    except OSError as error:
        log.error("sessions are kept by each worker for itself", extra={"error": str(error)})
        return Sessions()
