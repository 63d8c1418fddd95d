"""Proposed presentation contexts, and the choice among the accepted ones."""

import pytest

from fw_gear_dicom_send.network.contexts import (
    ECHO,
    Context,
    ContextPlan,
    candidate_contexts,
    choose,
)
from fw_gear_dicom_send.option_values import ConversionMode

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
RLE, JPEG_2000 = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90"
JPEG_LS = "1.2.840.10008.1.2.4.80"
CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
PET = "1.2.840.10008.5.1.4.1.1.128"


def test_a_compressed_image_is_proposed_unchanged_and_uncompressed() -> None:
    """A pair of class and syntax has its own context and two fallback contexts."""
    contexts = ContextPlan().include(Context(CT, RLE))
    images = {Context(CT, RLE), Context(CT, EXPLICIT), Context(CT, IMPLICIT)}
    assert set(contexts) == {ECHO, *images}


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_an_uncompressed_image_needs_no_third_context(syntax: str) -> None:
    """No context is proposed twice."""
    contexts = ContextPlan().include(Context(CT, syntax))
    assert sorted(contexts, key=str) == sorted(
        [ECHO, Context(CT, EXPLICIT), Context(CT, IMPLICIT)], key=str
    )


def test_new_pairs_join_earlier_ones() -> None:
    """An association carries all pairs seen so far, in a stable order, and C-ECHO at the end."""
    plan = ContextPlan()
    first = plan.include(Context(CT, RLE))
    second = plan.include(Context(MR, JPEG_2000))
    assert first[-1] == second[-1] == ECHO
    assert second[: len(first) - 1] == first[:-1]
    assert len(second) == 7


def test_a_known_pair_adds_nothing() -> None:
    """An image with the same pair as before needs no other association."""
    plan = ContextPlan()
    plan.include(Context(CT, RLE))
    before = plan.include(Context(MR, RLE))
    assert plan.include(Context(CT, RLE)) == plan.include(Context(CT, EXPLICIT)) == before


def test_no_association_has_more_than_128_contexts() -> None:
    """Excess pairs make further associations, and each pair finds its own again."""
    plan = ContextPlan()
    pairs = [Context(f"1.2.3.{number}", f"1.2.4.{number}") for number in range(100)]
    for pair in pairs:
        plan.include(pair)
    groups = [plan.include(pair) for pair in pairs]
    assert all(pair in group for pair, group in zip(pairs, groups, strict=True))
    assert sorted(len(group) for group in set(groups)) == [49, 127, 127]


def test_all_128_contexts_are_used() -> None:
    """An association is full at 128 contexts, not before."""
    plan = ContextPlan()
    for number in range(41):
        plan.include(Context(f"1.2.3.{number}", RLE))
    plan.include(Context(CT, EXPLICIT))
    assert len(plan.include(Context(MR, EXPLICIT))) == 128
    assert len(plan.include(Context(PET, EXPLICIT))) == 3


def test_a_known_pair_stays_in_its_association() -> None:
    """A pair in a later association does not move to an earlier one with room."""
    plan = ContextPlan()
    for number in range(42):
        first = plan.include(Context(f"1.2.3.{number}", RLE))
    second = plan.include(Context(CT, RLE))
    assert plan.include(Context(CT, EXPLICIT)) == second
    assert plan.include(Context("1.2.3.0", RLE)) == first


def test_fewer_contexts_make_more_associations() -> None:
    """With a lower limit, each pair finds its fallbacks in one association."""
    plan = ContextPlan()
    pairs = [Context(f"1.2.3.{number}", RLE) for number in range(20)]
    for pair in pairs:
        plan.include(pair)
    plan.limit_to(30)
    plan.limit_to(60)
    groups = {plan.include(pair) for pair in pairs}
    assert sorted(len(group) for group in groups) == [7, 28, 28]
    for pair in pairs:
        fallbacks = {Context(pair.abstract_syntax, uid) for uid in (EXPLICIT, IMPLICIT)}
        assert {pair, ECHO} | fallbacks <= set(plan.include(pair))


@pytest.mark.parametrize(("number", "classes"), [(0, 20), (15, 20), (19, 20), (9, 10)])
def test_the_contexts_of_an_image_come_first_if_not_all_fit(number: int, classes: int) -> None:
    """A trial with fewer contexts has those of the image, and C-ECHO at the end."""
    plan = ContextPlan()
    for n in range(classes):
        plan.include(Context(f"1.2.3.{n}", RLE))
    wanted = Context(f"1.2.3.{number}", RLE)
    few = plan.include(wanted, limit=30)
    assert len(few) == len(set(few)) == 30
    assert few[:3] == plan.include(wanted, alone=True)
    assert few[-1] == ECHO
    assert len(plan.include(wanted)) == len(plan.include(wanted, limit=61)) == 3 * classes + 1


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ([RLE, EXPLICIT, IMPLICIT], RLE),
        ([IMPLICIT, EXPLICIT], EXPLICIT),
        ([IMPLICIT], IMPLICIT),
        ([JPEG_2000], None),
        ([], None),
    ],
)
def test_the_best_accepted_context_is_chosen(accepted: list[str], chosen: str | None) -> None:
    """The preference is: unchanged, explicit VR, implicit VR, otherwise not sent."""
    contexts = frozenset(Context(CT, syntax) for syntax in accepted) | {Context(MR, RLE)}
    candidates = candidate_contexts(Context(CT, RLE), ConversionMode.WHEN_NEEDED)
    assert choose(candidates, contexts) == (Context(CT, chosen) if chosen else None)


@pytest.mark.parametrize(
    ("own", "syntaxes"),
    [
        (RLE, [EXPLICIT, IMPLICIT]),
        (EXPLICIT, [EXPLICIT, IMPLICIT]),
        (IMPLICIT, [IMPLICIT, EXPLICIT]),
    ],
)
def test_uncompressed_images_stay_unchanged(own: str, syntaxes: list[str]) -> None:
    """If all images are sent uncompressed, explicit VR is preferred for converted ones."""
    contexts = candidate_contexts(Context(CT, own), ConversionMode.UNCOMPRESSED)
    assert contexts == tuple(Context(CT, syntax) for syntax in syntaxes)


@pytest.mark.parametrize("own", [EXPLICIT, IMPLICIT])
def test_uncompressed_images_may_be_proposed_compressed(own: str) -> None:
    """JPEG-LS comes first, then JPEG 2000, then the unchanged image."""
    mode = ConversionMode.LOSSLESS
    best, *others = candidate_contexts(Context(CT, own), mode)
    assert [best, *others][:3] == [Context(CT, uid) for uid in (JPEG_LS, JPEG_2000, own)]
    assert set(ContextPlan(mode).include(best)) == {ECHO, best, *others}


def test_compressed_images_are_not_compressed_again() -> None:
    """They are proposed as without compression."""
    mode, rle = ConversionMode.LOSSLESS, Context(CT, RLE)
    assert candidate_contexts(rle, mode) == candidate_contexts(rle, ConversionMode.WHEN_NEEDED)
    assert ContextPlan(mode).include(rle) == ContextPlan().include(rle)
