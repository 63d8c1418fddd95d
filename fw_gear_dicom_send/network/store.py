"""Storage SCU: the sender for a DICOM server (PS3.4 annex B)."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from ..delivery.deliver import Delivery
from ..delivery.results import RUN_ENDED, StoreResult, Suspect
from ..delivery.sender import Parallel, SenderFacts
from ..dicom.types import SOPInstance
from ..option_values import ConversionMode
from ..retry import RetryBudget, RetryPolicy
from ..sections import Section
from ..values import replace
from . import preflight
from .attempts import Convert, StoreAttempts
from .contexts import Context, ContextPlan, candidate_contexts
from .page_sections import contexts_section, studies_section
from .pool import AssociationPool
from .transport import DEFAULT_TRANSPORT, Transport
from .types import PeerAE

if TYPE_CHECKING:  # importing them takes long, and few runs need them
    from .commitment_listener import CommitmentListener
    from .inquiry import InquirySCU
    from .query import FindSCU

RESEND_POLICY = RetryPolicy(min_wait=2, max_wait=15)
"""The waits while the server is at fault; the retry budget limits the total time."""


class StorageSCU:
    """Sender that opens associations as the images need them.

    Args:
        peer: The server that stores the images.
        convert: Changes the transfer syntax of an image.
        associations: Number of associations at the same time, 0 if it is automatic.
        retry_time: Seconds to continue without an accepted image.
        transport: TLS, timeouts and rate limit of all associations for images.
        is_dry: Whether to do everything except the C-STORE requests.
        conversion: When to change transfer syntaxes.
        policy: Waits while the server is at fault.
        max_images: Images after which an association is released, 0 for no limit.
        query_peer: Server for queries, over one additional association. None for `peer`.
        queries: Methods of `inquirer` that `check` includes.
        has_study_associations: Whether each study gets an association of its own. Queries then
            may use one additional association.
        listener: Receives storage commitment reports over associations that the server opens.
    """

    def __init__(
        self,
        peer: PeerAE,
        convert: Convert,
        *,
        associations: int = 1,
        retry_time: float = 300,
        transport: Transport = DEFAULT_TRANSPORT,
        is_dry: bool = False,
        conversion: ConversionMode = ConversionMode.WHEN_NEEDED,
        policy: RetryPolicy = RESEND_POLICY,
        max_images: int = 0,
        query_peer: PeerAE | None = None,
        queries: Collection[str] = (),
        has_study_associations: bool = False,
        listener: "CommitmentListener | None" = None,
    ) -> None:
        """Prepare to send to `peer`."""
        self._peer = peer
        self._query_peer = query_peer
        self._methods = queries
        self._listener = listener
        self._transport = transport
        self._policy = policy
        self._retry_policy = replace(policy, max_time=retry_time)
        budget = RetryBudget(retry_time, policy.clock)
        self._conversion = conversion
        parallel = Parallel.of(associations, by_study=has_study_associations)
        self._is_dry = is_dry
        has_additional = has_study_associations and queries and not query_peer
        self._pool = AssociationPool(
            peer,
            parallel.most + bool(has_additional),
            budget,
            transport,
            policy=policy,
            conversion=conversion,
            max_images=max_images,
            expected=parallel.assured,
        )
        self._queries = self._pool
        if query_peer:
            patience = retry_time if queries else 0  # without, only lost answers are queried
            self._queries = _query_pool(query_peer, patience, transport, policy)
        self._attempts = StoreAttempts(
            self._pool,
            convert,
            response_timeout=transport.timeouts.response,
            clock=policy.clock,
            conversion=conversion,
            is_dry=is_dry,
        )
        self.health = Delivery(self._attempts, self._pool, parallel.assured, budget, policy)

    def __repr__(self) -> str:
        """Show the state of its pool."""
        return f"<StorageSCU: {self._pool!r}>"

    @property
    def images_per_request(self) -> int:
        """A C-STORE request has one image."""
        return 1

    def check(self, first: tuple[str, str] | None = None) -> None:
        """Check that the server accepts an association, and has the services that the run needs.

        The association is kept for the `first` image, which proves more than a C-ECHO. With another
        server for queries, none is kept: both may be one, with a limit of one association.

        Raises ServerError, whose message says what to check.
        """
        check = partial(preflight.checked, transport=self._transport, policy=self._retry_policy)
        services = [self.inquirer(method) for method in self._methods]
        images: tuple[Context, ...] = ()
        if self._query_peer and services:
            check(self._peer)[0].release()
            check(self._query_peer, purpose="queries", services=services)[0].release()
            return
        if first:
            wanted = candidate_contexts(Context(*first), self._conversion)[0]
            images = ContextPlan(self._conversion).include(wanted)[:-1]
        assoc, info = check(self._peer, services=services, images=images, sends=not self._is_dry)
        self._attempts.is_unverified = info.echo_status is None
        if images and images[0] in assoc.proposed:
            self._pool.adopt(assoc)
        else:
            assoc.release()

    def send(self, instance: SOPInstance, earlier: Suspect | None = None) -> StoreResult | Suspect:
        """Send one image, with retries. Several threads may call this at the same time."""
        return self.health.send(instance, earlier)

    def study(
        self, study_instance_uid: str, encodings: Iterable[tuple[str, str]]
    ) -> AbstractContextManager[None]:
        """Send the images of a study over an association of its own while the block runs.

        `encodings` are the pairs of SOP class and transfer syntax of its images. All are proposed
        when the association is opened.
        """
        if not study_instance_uid:
            return nullcontext()
        own = (Context(*encoding) for encoding in encodings)
        wanted = [candidate_contexts(context, self._conversion)[0] for context in own]
        return self._pool.for_study(study_instance_uid, wanted)

    def inquirer(self, method: str) -> "InquirySCU":
        """Return the SCU of C-FIND for `find`, and that of storage commitment for `commit`."""
        if method == "find":
            return self.finder()
        # Both SCUs take long to import, and few runs need them.
        from .commitment import CommitmentSCU

        return CommitmentSCU(
            self._queries,
            timeouts=self._transport.timeouts,
            shares_associations=not self._query_peer,
            listener=self._listener,
        )

    def finder(self, timeout: float = inf) -> "FindSCU":
        """Return the SCU of C-FIND.

        With a `timeout`, the run does without a service that the server refuses.
        """
        from .query import FindSCU

        timeouts = self._transport.timeouts
        return FindSCU(
            self._queries,
            timeouts=replace(timeouts, find=min(timeouts.find, timeout)),
            shares_associations=not self._query_peer,
            optional=timeout < inf,
            policy=self._policy,
        )

    @property
    def contexts(self) -> Mapping[Context, bool]:
        """The proposed presentation contexts, and whether they were accepted."""
        return {**self._queries.contexts, **self._pool.contexts}

    def facts(self) -> SenderFacts:
        """Return the current facts."""
        throttle, health = self._transport.throttle, self.health
        return SenderFacts(
            connections=self._pool.open_associations,
            noun="association",
            max_rate=throttle.rate if throttle else 0.0,
            retries=health.retries,
            losses=health.losses,
            lost_at=tuple(health.lost_at),
            is_away=self._pool.is_away or health.is_at_fault,
            given_up=None if health.given_up is RUN_ENDED else health.given_up,
            peak=self._pool.peak,
            is_refused=self._pool.is_limited,
        )

    def sections(self) -> tuple[Section, ...]:
        """Return the presentation contexts and the split studies as sections of the page."""
        split = self._pool.split_studies
        contexts = contexts_section(self.contexts)
        return (studies_section(split), contexts) if split else (contexts,)

    def trim(self, number: int) -> None:
        """Release associations beyond `number` as they get idle."""
        self._pool.trim(number)

    def finish(self) -> None:
        """Let current requests finish, and start no more."""
        for pool in {self._pool, self._queries}:
            pool.give_up(RUN_ENDED)

    def close(self) -> None:
        """Release the associations."""
        for pool in {self._pool, self._queries}:
            pool.close()

    def abort(self) -> None:
        """Abort the associations and their current requests."""
        for pool in {self._pool, self._queries}:
            pool.abort()


def _query_pool(
    peer: PeerAE, retry_time: float, transport: Transport, policy: RetryPolicy
) -> AssociationPool:
    """Return a pool of one association for queries, without a rate limit."""
    budget = RetryBudget(retry_time, policy.clock, success="an association for queries")
    return AssociationPool(peer, 1, budget, replace(transport, throttle=None), policy=policy)
