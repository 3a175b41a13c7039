"""The URIs of KMS keys, in every form that people have them in."""

import pytest
from temporal_payloads_aws_kms._uri import is_same_alias, parse

ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
GOV = "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.mark.parametrize(
    ("uri", "key_id", "region", "context"),
    [
        (f"awskms:///{ARN}", ARN, "eu-central-1", {}),
        (f"awskms:///{ARN}?region=eu-central-1", ARN, "eu-central-1", {}),
        ("awskms://1234abcd-12ab-34cd-56ef-1234567890ab", "1234abcd-12ab-34cd-56ef-1234567890ab", None, {}),
        ("awskms:///1234abcd-12ab-34cd?region=us-east-1", "1234abcd-12ab-34cd", "us-east-1", {}),
        ("awskms:///alias/orders", "alias/orders", None, {}),
        ("awskms://alias/team/orders?region=us-east-1&awssdk=v2", "alias/team/orders", "us-east-1", {}),
        ("awskms:///mrk-1234abcd12ab34cd56ef1234567890ab", "mrk-1234abcd12ab34cd56ef1234567890ab", None, {}),
        ("awskms:///alias/o?context_team=a%20b&context_x=", "alias/o", None, {"team": "a b", "x": ""}),
        (f"awskms:///{GOV}", GOV, "us-gov-west-1", {}),
    ],
)
def test_a_uri_names_a_key(uri, key_id, region, context):
    key = parse(uri)
    assert (key.id, key.region, key.context) == (key_id, region, context)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("gcpkms://projects/p", "its scheme must be awskms"),
        ("awskms://", "it must be awskms:///ARN"),
        ("awskms:///", "it must be"),
        ("awskms:///alias/", "it must be"),
        ("awskms://user@alias/orders", "it must be"),
        ("awskms:///alias/orders#1", "it must be"),
        ("awskms:///../../etc/passwd", "it must be"),
        ("awskms:///alias/a b", "it must be"),
        (f"awskms:///{ARN}?region=us-east-1", "its region parameter is 'us-east-1', and its ARN is of"),
        ("awskms:///alias/orders?regoin=us-east-1", "it has the parameter 'regoin'"),
        ("awskms:///alias/orders?context_=x", "it has the parameter 'context_'"),
    ],
)
def test_what_is_no_uri_of_a_key_is_told(uri, message):
    with pytest.raises(ValueError, match="it") as caught:
        parse(uri)
    assert message in str(caught.value)


def test_an_alias_may_be_another_key_tomorrow():
    assert parse("awskms:///alias/orders").is_alias
    assert parse("awskms:///arn:aws:kms:eu-central-1:111122223333:alias/orders").is_alias
    assert not parse(f"awskms:///{ARN}").is_alias


def test_an_alias_and_its_arn_are_the_same_alias():
    arn = "arn:aws:kms:eu-central-1:111122223333:alias/team/orders"
    assert is_same_alias(arn, arn)
    assert is_same_alias("alias/team/orders", arn)
    assert is_same_alias(arn, "alias/team/orders")
    assert not is_same_alias("alias/orders", arn)
    assert not is_same_alias(arn.replace("eu", "us"), arn)
