"""Whatever the types, values and JSON: the converter does what the SDK's own does.

`make differential` tries the same with other examples for as long as one likes.
"""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.differential.properties import (
    classes_are_freed,
    json_of_any_kind,
    models_as_people_write_them,
    values_of_any_kind,
    values_of_declared_types,
)

# The same examples in each run: CI fails for what a change has done, and for nothing else.
the_same_each_time = settings(
    derandomize=True,
    database=None,
    deadline=None,  # a loaded machine is no failure
    suppress_health_check=list(HealthCheck),  # Python itself refuses some of the programs that can be drawn
)


@settings(the_same_each_time, max_examples=250)
@given(data=st.data())
def test_models_as_people_write_them_are_written_and_read_alike(converter, data):
    models_as_people_write_them(data.draw, converter)


@settings(the_same_each_time, max_examples=250)
@given(data=st.data())
def test_values_of_generated_types_are_written_and_read_alike(converter, data):
    values_of_declared_types(data.draw, converter)


@settings(the_same_each_time, max_examples=300)
@given(data=st.data())
def test_json_of_any_kind_is_read_alike_for_any_hint(converter, data):
    json_of_any_kind(data.draw, converter)


@settings(the_same_each_time, max_examples=250)
@given(data=st.data())
def test_values_of_any_kind_are_written_alike(converter, data):
    values_of_any_kind(data.draw, converter)


@settings(the_same_each_time, max_examples=15)
@given(data=st.data())
def test_generated_classes_are_freed_after_use(converter, data):
    classes_are_freed(data.draw, converter)
