from typing import Annotated, Any

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from gateway.http.describe import Id, chars, many, one_of
from models.store.wrong_fields import wrong_field, wrong_fields


class Person(msgspec.Struct, forbid_unknown_fields=True):
    """A structure inside a list of another."""

    email: Annotated[str, chars(3, 10)]
    role: Annotated[str, one_of(("user", "admin"))] | None = None


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """A body with a field of each type."""

    name: Annotated[str, chars(1, 5)]
    ids: Annotated[list[Id], many(1, 3)] | None = None
    people: list[Person] = []
    person: Person | UnsetType = UNSET
    ratio: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    flag: bool = False


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"name": ""}, "name", "must not be empty"),
    ({"name": "a", "people": [{"email": "a@"}]}, "people.0.email", "must have at least 3 characters"),
    ({"name": "abcdef"}, "name", "must have at most 5 characters"),
    ({"name": 5}, "name", "must be a text"),
    ({"name": None}, "name", "must be a text"),
    ({"name": "a", "ids": []}, "ids", "must not be empty"),
    ({"name": "a", "ids": [1, 2, 3, 4]}, "ids", "must have at most 3 items"),
    ({"name": "a", "ids": [1, 0]}, "ids", "must be at least 1"),
    ({"name": "a", "ids": [2**53]}, "ids", f"must be at most {2**53 - 1}"),
    ({"name": "a", "ids": [1, "2"]}, "ids.1", "must be an integer"),
    ({"name": "a", "ids": {}}, "ids", "must be a list or null"),
    ({"name": "a", "people": [{"email": "a@b"}, {}]}, "people.1.email", "is required"),
    ({"name": "a", "people": [{"email": "a@b", "age": 5}]}, "people.0.age", "is not a field of this request"),
    ({"name": "a", "people": [{"email": "a@b", "role": "owner"}]}, "people.0.role", "must be one of user, admin"),
    ({"name": "a", "person": {"email": "a@b", "role": "user\n"}}, "person.role", "must be one of user, admin"),
    ({"name": "a", "ratio": 1.5}, "ratio", "must be at most 1.0"),
    ({"name": "a", "ratio": "1"}, "ratio", "must be a number or null"),
    ({"name": "a", "flag": 1}, "flag", "must be true or false"),
    ({}, "name", "is required"),
    ({"name": "a", "nickname": "b"}, "nickname", "is not a field of this request"),
]


@pytest.mark.parametrize(("body", "field", "message"), WRONG)
def test_a_wrong_field_is_named_and_the_text_says_what_is_expected(body: dict[str, Any], field: str, message: str) -> None:
    assert list(wrong_fields(body, Body)) == [(field, message)]
    with pytest.raises(msgspec.ValidationError) as refusal:
        msgspec.json.decode(msgspec.json.encode(body), type=Body)
    assert wrong_field(refusal.value) == (field, message)


def test_of_an_object_with_names_of_the_clients_each_wrong_member_is_named() -> None:
    class People(msgspec.Struct):
        by_name: dict[str, Person]

    found = {"ana": {"email": "a@b"}, "ben": {"email": ""}, "cleo": {}}
    expected = [("by_name.ben.email", "must have at least 3 characters"), ("by_name.cleo.email", "is required")]
    assert list(wrong_fields({"by_name": found}, People)) == expected


def test_every_wrong_field_is_named() -> None:
    body = {"name": "abcdef", "ids": [0], "people": [{"email": ""}, {}], "flag": "yes", "nickname": "b"}

    assert [field for field, _ in wrong_fields(body, Body)] == ["name", "ids", "people.0.email", "flag", "nickname"]


@pytest.mark.parametrize(("text", "message"), [(b"[]", "must be an object"), (b'"a"', "must be an object")])
def test_a_body_that_is_not_an_object_is_named_without_a_field(text: bytes, message: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refusal:
        msgspec.json.decode(text, type=Body)
    assert wrong_field(refusal.value) == ("", message)


def test_a_number_outside_the_range_of_floats_is_named() -> None:
    with pytest.raises(msgspec.ValidationError) as refusal:
        msgspec.json.decode(b'{"name": "a", "ratio": 1e999}', type=Body)
    assert wrong_field(refusal.value) == ("ratio", "is out of range")


def test_an_object_with_a_number_outside_the_range_of_floats_is_named() -> None:
    class Noted(msgspec.Struct):
        metadata: dict[str, Any]

    with pytest.raises(msgspec.ValidationError) as refusal:
        msgspec.json.decode(b'{"metadata": {"a": {"b": 1e999}}}', type=Noted)
    assert wrong_field(refusal.value) == ("metadata", "is out of range")


def test_a_list_item_outside_the_range_of_floats_is_named() -> None:
    with pytest.raises(msgspec.ValidationError) as refusal:
        msgspec.json.decode(b'{"name": "a", "ids": [1, 1e999]}', type=Body)
    assert wrong_field(refusal.value) == ("ids.1", "is out of range")
