"""The numbers of events and of jobs."""

from __future__ import annotations


class Numbers:
    """Counts one by one from the milliseconds of the service's start on, so that a number says nothing of a time.

    As pypowervm's captures show: event_feed.txt has 37 consecutive EventIDs that are hours older than the answer, and
    the JobID in job_response_completed_ok.txt is 14 hours older than the job's TimeStarted. Whoever takes numbers from
    several threads locks.
    """

    def __init__(self, started_ms: int) -> None:
        self.last = started_ms - 1
        """The highest that was given, or the one before the first."""

    def next(self) -> int:
        """Give the next one."""
        self.last += 1
        return self.last
