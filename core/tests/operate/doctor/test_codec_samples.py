import pytest
from temporal_payloads._codecs.chain import CodecChain
from temporal_payloads._codecs.named import NamedCodec
from temporal_payloads._operate.doctor.codec_samples import samples, try_codecs
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec


def chain_of(codec):
    return CodecChain([NamedCodec("own", codec)])


async def test_each_codec_and_all_together_are_measured_on_each_sample(assemble):
    chain = assemble(codecs=["gzip", "zstd"]).codecs.chain
    measured, findings = await try_codecs(chain)
    assert [(one.sample, one.codec) for one in measured] == [
        (name, codec) for name in samples() for codec in ("gzip", "zstd", "")
    ]
    assert [finding.level for finding in findings] == ["ok"]
    for one in measured:
        assert one.encode_seconds > 0
        assert one.decode_seconds > 0
        assert one.size == samples()[one.sample].ByteSize() or one.codec == "zstd"
    ratios = {one.sample: one.ratio for one in measured if one.codec == "gzip"}
    assert ratios["JSON, 4 MiB"] < 0.3
    assert ratios["random bytes, 1 MiB"] == pytest.approx(1, abs=0.01)


async def test_where_there_is_one_codec_its_lines_stand_for_all(assemble):
    measured, _ = await try_codecs(assemble(codecs=["gzip"]).codecs.chain)
    assert [one.codec for one in measured] == ["gzip"] * len(samples())


async def test_the_samples_are_of_the_sizes_that_their_names_say():
    sizes = {name: payload.ByteSize() for name, payload in samples().items()}
    assert sizes["JSON, 1 KiB"] == pytest.approx(1024, rel=0.2)
    assert sizes["JSON, 4 MiB"] == pytest.approx(4 * 1024 * 1024, rel=0.05)


async def test_a_codec_that_does_not_give_back_what_it_was_given_is_told():
    class Lossy(PayloadCodec):
        async def encode(self, payloads):
            return [Payload(metadata={"encoding": b"binary/lossy"}, data=one.data[:10]) for one in payloads]

        async def decode(self, payloads):
            return [Payload(data=one.data) for one in payloads]

    _, findings = await try_codecs(chain_of(Lossy()))
    assert {finding.level for finding in findings} == {"problem"}
    assert "JSON, 1 KiB is not the same" in findings[0].message


async def test_a_codec_that_fails_is_told_in_its_words():
    class Broken(PayloadCodec):
        async def encode(self, payloads):
            raise RuntimeError("out of ink")

        decode = encode

    measured, findings = await try_codecs(chain_of(Broken()))
    assert not measured
    assert "out of ink" in findings[0].message
