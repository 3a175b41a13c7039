"""How `check` shows what the doctor has found."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from temporal_payloads._cli.output import bad, counted, doubtful, good, heading, say, table
from temporal_payloads._operate.units import in_units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from temporal_payloads._operate.doctor.codec_samples import CodecSample
    from temporal_payloads._operate.doctor.examination import Examination
    from temporal_payloads._storage.diagnosing import Finding

MEASURED = ("write", "round trip")
"""What is shown although it is fine: whoever has it done wants to know how long it took."""


def examination_as_json(found: Examination) -> dict[str, Any]:
    """Return what was found, for a program."""
    return {
        "findings": [asdict(finding) for finding in found.findings],
        "codec_samples": [asdict(sample) for sample in found.codec_samples],
    }


def print_examination(found: Examination, *, verbose: bool) -> None:
    """Print what was found: what is not as it should be, or everything."""
    if verbose and found.codec_samples:
        _print_samples(found.codec_samples)
    say(heading("Findings"))
    shown = [finding for finding in found.findings if verbose or _is_worth_a_row(finding)]
    if shown:
        table(("RESULT", "WHERE", "WHAT", "FOUND"), [_row(finding) for finding in shown])
    others = [finding for finding in found.findings if finding not in shown]
    skipped = dict.fromkeys(finding.check for finding in others if finding.level == "skipped")
    if skipped:
        say(f"  not looked at: {', '.join(skipped)} (--verbose says why)")
    fine = sum(finding.level == "ok" for finding in others)
    if fine:
        say("  ", good(counted(fine, "thing is", "things are")), good(" fine"))


def _is_worth_a_row(finding: Finding) -> bool:
    return finding.level in ("problem", "warning") or finding.check in MEASURED


def _row(finding: Finding) -> tuple[str | Text, ...]:
    paint = {"problem": bad, "warning": doubtful, "ok": good}.get(finding.level)
    result = paint(finding.level) if paint else finding.level
    told = f"{finding.message}. {finding.advice}." if finding.advice else finding.message
    return result, finding.place or "-", finding.check, told


def _print_samples(samples: Sequence[CodecSample]) -> None:
    say(heading("Codecs on samples"))
    columns = ("SAMPLE", "CODEC", "BYTES", "ENCODED", "LEFT", "ENCODE", "DECODE")
    rows = [
        (
            sample.sample,
            sample.codec or "all",
            f"{sample.size:,}",
            f"{sample.encoded_size:,}",
            f"{sample.ratio:.1%}",
            _speed(sample.size, sample.encode_seconds),
            _speed(sample.size, sample.decode_seconds),
        )
        for sample in samples
    ]
    table(columns, rows, right=set(columns[2:]))


def _speed(size: int, seconds: float) -> str:
    return f"{in_units(size / seconds)}/s" if seconds else "-"
