"""What a session's receiver tells the sender of its blocks: when, and how often.

Only blocks that carry something of the app's ask for it, so two idle ends tell each
other nothing.
"""

from psp.units import Monotonic, Seconds
from psp.wire.feedback import Feedback

_PAUSES = ((64, Seconds(0.01)), (8, Seconds(0.025)), (1, Seconds(0.2)))
"""Least blocks since the last feedback, and seconds that it must be old then: one block
back for 64 at 50 MB/s, 20 a second beside video, 5 beside voice."""


class Reporter:
    """Counts at the receiving end, as `psp.wire.feedback.Feedback` wants it."""

    def __init__(self, now: Monotonic) -> None:
        self._began = now
        self._sent_at = Monotonic(now - _PAUSES[-1][1])
        self._highest = -1
        self._came = now
        self._received = 0
        self._marked = 0
        self._pending = 0

    def note_blocks(
        self, received: int, of_app: int, highest: int, now: Monotonic
    ) -> None:
        """Count blocks that came, ``of_app`` of them with something of the app's.

        ``highest`` is the greatest counter that has come by now.
        """
        self._received += received
        self._pending += of_app
        if highest > self._highest:
            self._highest = highest
            self._came = now

    def note_marks(self, marked: int) -> None:
        """A relay marked cells on our circuits."""
        self._marked += marked

    def next_timeout(self) -> Monotonic | None:
        """Return when a feedback is due; None while nothing has come."""
        for least, pause in _PAUSES:
            if self._pending >= least:
                return Monotonic(self._sent_at + pause)
        return None

    def feedback_to_send(self, now: Monotonic) -> Feedback | None:
        """Return a feedback when one is due."""
        due = self.next_timeout()
        if due is None or now < due:
            return None
        self._pending = 0
        self._sent_at = now
        return Feedback(
            self._highest,
            self._received,
            self._marked,
            round((self._came - self._began) * 1e6),
            round((now - self._came) * 1e6),
        )
