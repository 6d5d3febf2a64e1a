"""What a job prints, in its task's log while the task waits in the triggerer: only where its platform is asked to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from logging import Logger

from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.redaction import redacted
from airflow_doeks.platforms.protocol import LogPart

Read = Callable[[str], Awaitable[LogPart]]


@asynccontextmanager
async def telling(read: Read, seconds: float | None, log: Logger) -> AsyncIterator[None]:
    """Log what a job printed every ``seconds`` while the block runs, and the rest at its end; None: nothing."""
    if not seconds:
        yield
        return
    teller = _Teller(read, log)
    task = asyncio.create_task(teller.every(seconds))
    try:
        yield
        await teller.tell()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class _Teller:
    def __init__(self, read: Read, log: Logger) -> None:
        self._read, self._log = read, log
        self._upto = ""
        self._turn = asyncio.Lock()

    async def every(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            await self.tell()

    async def tell(self) -> None:
        """What is new; a log that cannot be read is told, and fails no job."""
        async with self._turn:
            try:
                part = await self._read(self._upto)
            except PlatformError as error:
                self._log.info("What the job printed cannot be read: %s", error)
                return
            for line in part.lines:
                self._log.info("| %s", redacted(line))
            self._upto = part.upto
