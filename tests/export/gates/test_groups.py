"""Groups of people out of the labels of rows."""

from __future__ import annotations

import pytest

from vultus_export.gates.groups import groups_of


@pytest.mark.parametrize(
    ("row", "names"),
    [
        ({}, set()),
        ({"gender": "male"}, {"male"}),
        ({"male": "1", "young": "1"}, {"male"}),
        ({"male": "0"}, {"female"}),
        ({"age": "0"}, {"aged 0-9"}),
        ({"age": "9.5"}, {"aged 0-9"}),
        ({"age": "10"}, {"aged 10-19"}),
        ({"age": "20"}, {"aged 20-39"}),
        ({"age": "59"}, {"aged 40-59"}),
        ({"age": "101"}, {"aged 60+"}),
        ({"age": ""}, set()),
        ({"age": "old", "ethnicity": "asian"}, {"asian"}),
        (
            {"gender": "female", "age": "70", "ethnicity": "black"},
            {
                "female",
                "aged 60+",
                "black",
                "female, aged 60+",
                "female, black",
                "aged 60+, black",
                "female, aged 60+, black",
            },
        ),
    ],
)
def test_a_row_is_in_the_groups_of_its_labels(row: dict[str, str], names: set[str]) -> None:
    assert set(groups_of([row])) == names


def test_places_are_those_of_the_members() -> None:
    rows = [{"gender": "male"}, {"gender": "female"}, {}, {"gender": "male"}]
    groups = groups_of(rows)
    assert {name: at.tolist() for name, at in groups.items()} == {"female": [1], "male": [0, 3]}
    assert groups_of([]) == {}
