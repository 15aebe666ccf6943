"""Handing cycles out to whoever listens, without ever waiting for a slow listener."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from qoex.agent.cycle.history import Decided
from qoex.agent.reports.entries import CycleRecord


@dataclass(frozen=True)
class Published:
    """A cycle that was committed.

    Attributes:
        record: of the cycle.
        decided: the decision that is in force after it; None while there is none.
    """

    record: CycleRecord
    decided: Decided | None


class Subscription:
    """What one listener has not read yet; iterate over it to get every cycle from now on.

    The iteration ends when the engine stops, or when the listener has fallen behind by more
    cycles than it may; ``too_slow`` says which.

    Attributes:
        too_slow: whether it was dropped for that.
    """

    def __init__(self, publisher: Publisher, most: int) -> None:
        """For ``Publisher.subscribe``."""
        self.too_slow = False
        self._publisher = publisher
        self._queue: asyncio.Queue[Published | None] = asyncio.Queue()
        self._most = most

    def __aiter__(self) -> AsyncIterator[Published]:
        return self

    async def __anext__(self) -> Published:
        """Wait for the next cycle."""
        item = await self._queue.get()
        if item is None:
            self._queue.put_nowait(None)  # it stays at its end, whoever asks again
            raise StopAsyncIteration
        return item

    def close(self) -> None:
        """Listen no longer."""
        self._publisher.drop(self)

    def offer(self, item: Published) -> None:
        """Take a cycle in, or drop the listener that has too many of them unread."""
        if self._queue.qsize() >= self._most:
            self.too_slow = True
            self.close()
            self.end()
        else:
            self._queue.put_nowait(item)

    def end(self) -> None:
        """Let the iteration end after what is unread."""
        self._queue.put_nowait(None)


class Publisher:
    """Gives every cycle to every subscription."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()
        self._ended = False

    def __len__(self) -> int:
        """Return how many listen."""
        return len(self._subscriptions)

    def subscribe(self, most: int) -> Subscription:
        """Return a subscription that may hold so many unread cycles."""
        subscription = Subscription(self, most)
        if self._ended:
            subscription.end()
        else:
            self._subscriptions.add(subscription)
        return subscription

    def publish(self, item: Published) -> None:
        """Give a cycle to everybody."""
        for subscription in list(self._subscriptions):
            subscription.offer(item)

    def drop(self, subscription: Subscription) -> None:
        """Give a subscription nothing more."""
        self._subscriptions.discard(subscription)

    def end(self) -> None:
        """End every subscription, those to come as well."""
        self._ended = True
        for subscription in list(self._subscriptions):
            subscription.end()
        self._subscriptions.clear()
