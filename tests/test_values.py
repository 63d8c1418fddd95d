"""Value classes: construction, comparison, inheritance and copies."""

import pickle
from functools import cached_property
from typing import ClassVar, Generic, TypeVar

import pytest

from fw_gear_dicom_send.values import field, fields_of, frozen, mutable, replace

T = TypeVar("T")


@frozen
class Point:
    """A value with a default and a hidden field."""

    kind: ClassVar[str] = "point"
    x: int
    y: int = 0
    secret: str = field(default="", repr=False)

    @cached_property
    def total(self) -> int:
        """The sum."""
        return self.x + self.y


@frozen(kw_only=True)
class Named(Point):
    """A value with inherited fields, and others that have names only."""

    name: str
    tags: list[str] = field(default_factory=list)


@mutable
class Count:
    """A state that counts what it was started with twice."""

    number: int = 0
    note: str = field(init=False)

    def __post_init__(self) -> None:
        """Double the number."""
        self.number *= 2


@frozen(eq=False)
class Identity(Generic[T]):
    """A value that equals only itself."""

    of: T


@frozen
class Nothing:
    """A value without fields."""


def test_fields_are_given_by_place_or_name() -> None:
    """Defaults fill the rest, also on the class."""
    assert (Point(1, y=2).y, Point(1).y, Point.y) == (2, 0, 0)
    assert list(fields_of(Point)) == ["x", "y", "secret"]


@pytest.mark.parametrize("arguments", [{}, {"x": 1, "z": 2}, {"x": 1, "kind": "line"}])
def test_a_missing_or_unknown_field_is_an_error(arguments: dict[str, int]) -> None:
    """This holds for the first instance and for later ones."""
    for _ in range(2):
        with pytest.raises(TypeError):
            Point(**arguments)


def test_equal_fields_make_equal_instances() -> None:
    """Values cached on one instance do not count; classes do."""
    one, other = Point(1, 2), Point(1, 2)
    assert one.total == 3
    assert (one == other, hash(one) == hash(other)) == (True, True)
    assert Point(1, 2) not in (Point(1, 3), Point(2, 2), Named(1, 2, name=""), 1, Nothing())
    assert Nothing() == Nothing()
    assert Identity(1) != Identity(1)


def test_a_state_has_no_hash() -> None:
    """Its fields can change."""
    assert Count(1) == Count(1)
    with pytest.raises(TypeError):
        hash(Count())


def test_a_subclass_adds_fields_by_name() -> None:
    """Each instance gets a new default of its own."""
    first, second = Named(1, 2, name="a"), Named(1, 2, name="a")
    first.tags.append("t")
    assert (first.tags, second.tags) == (["t"], [])
    assert (first.x, first.kind, first.name) == (1, "point", "a")
    with pytest.raises(TypeError):
        Named(1, 2, "", "a")  # type: ignore[call-arg]


def test_a_copy_differs_in_the_changed_fields_only() -> None:
    """Other instances stay as they are."""
    one = Named(1, 2, name="a", tags=["t"])
    assert replace(one, x=5) == Named(5, 2, name="a", tags=["t"])
    assert one.x == 1
    with pytest.raises(TypeError):
        replace(one, z=1)


def test_a_start_method_completes_an_instance() -> None:
    """A field that is no argument is set later."""
    state = Count(2)
    state.note = "set"
    assert (state.number, state.note) == (4, "set")
    with pytest.raises(TypeError):
        Count(1, "note")  # type: ignore[call-arg]


def test_the_text_of_an_instance_hides_secrets() -> None:
    """It names the class and all other fields."""
    assert repr(Point(1, 2, "key")) == "Point(x=1, y=2)"


def test_another_process_reads_an_instance() -> None:
    """Pickling needs no first instance in that process."""
    value = Named(1, 2, name="a")
    assert pickle.loads(pickle.dumps(value)) == value


def test_a_pattern_matches_fields_by_place() -> None:
    """Fields by name only have no place."""
    match Named(1, 2, name="a"):
        case Named(x, y, secret, name="a"):
            assert (x, y, secret) == (1, 2, "")
        case _:
            pytest.fail("no match")
