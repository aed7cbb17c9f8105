"""The thread that delivers: it starts with the first record and ends when there is nothing left to do."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from clearml_utils.background import IDLE_SECONDS, Background
from clearml_utils.delivery import Delivery
from clearml_utils.errors import BadCredentials, NotConfigured, Rejected, Unreachable
from clearml_utils.spool import REFUSED, Segment

if TYPE_CHECKING:
    from clearml_utils.recorder import Recorder

log = logging.getLogger("clearml_utils")
_BATCH = 400
_RETRY_AFTER_SECONDS = 5.0
_BACKOFF = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Sender(Background):
    """Empties segments: this process's own, and those of processes that are gone."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder, "clearml-utils-sender")
        self._delivery = Delivery(recorder.connection)
        self._one_at_a_time = threading.Lock()
        self._stop = False
        self._hurry = False
        self._failures = 0
        self._failed_at = 0.0
        self._adopted = False
        self._pinged = time.monotonic()
        self.delivered = 0

    @property
    def away(self) -> bool:
        """Whether the last try found no server."""
        return self._failures > 0

    def wait_progress(self, timeout: float) -> None:
        """Until something was delivered, or `timeout`."""
        with self._cond:
            self._cond.wait(timeout)

    def drain(self, timeout: float) -> bool:
        """Until the own segment is empty; False on `timeout`, and at once where no server answers."""
        end = time.monotonic() + timeout
        tries = self._failures
        if tries and time.monotonic() - self._failed_at < _RETRY_AFTER_SECONDS:
            self._recorder.writer.write()
            return False
        with self._cond:
            self._hurry = True
            self._cond.notify_all()
        try:
            while self._recorder.on and not (self._recorder.writer.idle and self._recorder.segment.pending() == 0):
                if self._failures > tries or time.monotonic() > end:
                    return False
                self._recorder.writer.write()
                self.wake()
                self.wait_progress(0.02)
            return True
        finally:
            self._hurry = False

    def stop(self) -> bool:
        """End the thread; what it is sending is finished first. False where that takes longer than `flush_seconds`."""
        with self._cond:
            self._stop = True
            self._cond.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(self._recorder.options.flush_seconds)
        self._thread = None
        self._adopted = False
        return thread is None or not thread.is_alive()

    def _run(self) -> None:
        idle_since = time.monotonic()
        while not self._stop and self._recorder.on:
            if self._cycle():
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since > IDLE_SECONDS and self._leave():
                return

    def _starting(self) -> None:
        self._stop = False

    def _cycle(self) -> bool:
        """One look at the own segment; whether something was sent."""
        with self._cond:
            self._news = False
        try:
            sent = self._once(self._recorder.segment)
            if not sent and not self._adopted:
                self._adopted = True
                self.adopt()
            self._ping()
        except (BadCredentials, NotConfigured) as error:
            self._recorder.turn_off(error)
            return False
        except Unreachable as error:
            self._wait_out(error)
            return False
        except Exception:
            # the thread must live, and must not spin on a defect of its own
            log.exception("clearml_utils could not deliver; it tries again")
            self._failures += 1
            self._pause(_BACKOFF[min(self._failures, len(_BACKOFF)) - 1])
            return False
        self._failures = 0
        if not sent:
            self._idle()
        return sent

    def _once(self, segment: Segment) -> bool:
        """Deliver the first records of a segment, one batch at a time, whoever asks: a delivery keeps notes."""
        with self._one_at_a_time:
            return self._batch(segment)

    def _batch(self, segment: Segment) -> bool:
        ops = segment.head(_BATCH)
        if not ops:
            return False
        before = segment.pending()
        refused = self._delivery.batch(segment, ops)
        self._recorder.learned({op.run: self._delivery.ids[op.run] for op in ops if op.run in self._delivery.ids})
        for op, error in refused:
            segment.bury(op, str(error))
            kept = segment.path.parent / REFUSED
            log.error(
                "ClearML refused a record of run %s (%s); it is set aside in %s: %s", op.run, op.kind, kept, error
            )
        self._recorder.measured(segment.size())
        with self._cond:
            self.delivered += len(ops)
            self._cond.notify_all()
        if self._delivery.again is not None:
            raise self._delivery.again
        return segment.pending() < before

    def _ping(self) -> None:
        """Tell the server now and then that the tasks in progress here live: its watchdog stops silent ones."""
        now = time.monotonic()
        if now - self._pinged < self._recorder.options.ping_seconds:
            return
        self._pinged = now
        live = [self._recorder.ids[run] for run in list(self._recorder.live) if run in self._recorder.ids]
        for task in dict.fromkeys(live):
            try:
                self._recorder.connection.call("tasks.ping", task=task)
            except Rejected as error:
                log.debug("ClearML refused a ping of task %s: %s", task, error)

    def adopt(self) -> int:
        """Deliver what processes that are gone left behind; how many segments."""
        count = 0
        own = self._recorder.segment.path
        for segment in Segment.adopt(self._recorder.options.spool, but=[own]):
            try:
                while self._once(segment):
                    pass
                count += 1
            finally:
                segment.close()
        return count

    def adopt_quietly(self) -> int:
        """`adopt`, leaving what cannot be delivered now."""
        try:
            return self.adopt()
        except Unreachable:
            return 0

    def _wait_out(self, error: Unreachable) -> None:
        if self._failures == 0:
            log.warning("ClearML is away; records wait in %s: %s", self._recorder.options.spool, error)
        self._failures += 1
        self._failed_at = time.monotonic()
        with self._cond:
            self._cond.notify_all()
        self._pause(_BACKOFF[min(self._failures, len(_BACKOFF)) - 1])

    def _idle(self) -> None:
        with self._cond:
            if not self._news and not self._stop:
                self._cond.wait(0.2)

    def _pause(self, seconds: float) -> None:
        """Sleep, but not through `stop` or a hurry."""
        end = time.monotonic() + seconds
        with self._cond:
            while not self._stop and (left := end - time.monotonic()) > 0:
                if self._hurry and (seconds < 0.1 or time.monotonic() - self._failed_at > _RETRY_AFTER_SECONDS):
                    return
                self._cond.wait(left)
