"""The figures of the documentation, from a run's results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "benchmarks"  # equal results, equal files
from matplotlib import pyplot as plt  # noqa: E402  # the backend is chosen first

from benchmarks import breakdown  # noqa: E402  # likewise

COLOURS = {"gzip": "#4269d0", "zlib": "#6cc5b0", "zstd": "#ff725c", "gzip.compress": "#9c6b4e"}
PEER, OURS = "#97a0af", "#4269d0"


def draw(results: dict[str, Any], directory: Path) -> None:
    """Write `levels.svg`, `growth.svg`, `ratios.svg` and `breakdown.svg`."""
    _levels(results["tables"]["levels"], directory / "levels.svg")
    _growth(results["growth"], directory / "growth.svg")
    _ratios(results["lines"], directory / "ratios.svg")
    breakdown.draw(results["tables"]["breakdown"], directory / "breakdown.svg")


def _levels(rows: list[dict[str, Any]], file: Path) -> None:
    kinds = list(dict.fromkeys(row["payload"] for row in rows))
    figure, axes = plt.subplots(1, len(kinds), figsize=(11, 4.5), layout="constrained")
    for kind, axis in zip(kinds, axes, strict=True):
        for codec in dict.fromkeys(row["codec"] for row in rows):
            some = [row for row in rows if row["codec"] == codec and row["payload"] == kind]
            speed = [row["encode"] / 1e6 for row in some]
            share = [row["share"] * 100 for row in some]
            axis.plot(speed, share, "o-", color=COLOURS[codec], label=codec, markersize=4, linewidth=1)
            for row, x, y in zip(some, speed, share, strict=True):
                axis.annotate(
                    str(row["level"]), (x, y), xytext=(3, 4), textcoords="offset points", fontsize=7
                )
        axis.set_xscale("log")
        axis.set(title=f"{kind}, 3 MB", xlabel="encode, MB/s", ylabel="size, % of the payload")
        axis.grid(alpha=0.3)
        axis.legend()
    _save(figure, file)


def _growth(growth: list[dict[str, Any]], file: Path) -> None:
    rows = -(-len(growth) // 3)
    figure, axes = plt.subplots(rows, 3, figsize=(12, 3.2 * rows), layout="constrained")
    for one, axis in zip(growth, axes.flat, strict=False):
        for who, colour in (("peer", PEER), ("ours", OURS)):
            some = [point for point in one["points"] if who in point]
            axis.loglog([p["x"] for p in some], [p[who] for p in some], "o-", color=colour, label=who)
        axis.set_title(one["name"], fontsize=9)
        axis.set(xlabel=one["x"], ylabel="seconds")
        axis.grid(alpha=0.3)
        axis.legend()
    for axis in axes.flat[len(growth) :]:
        axis.set_visible(False)
    _save(figure, file)


def _ratios(lines: list[dict[str, Any]], file: Path) -> None:
    some = [line for line in lines if line["ratio"]][::-1]
    figure, axis = plt.subplots(figsize=(11, 0.28 * len(some) + 1), layout="constrained")
    colours = [OURS if line["reached"] else "#ff725c" for line in some]
    axis.barh([line["what"] for line in some], [line["ratio"] for line in some], color=colours)
    axis.axvline(1, color="black", linewidth=1)
    axis.set_xscale("log")
    axis.set_xlabel("times better than the peer (peer = 1)")
    axis.tick_params(axis="y", labelsize=8)
    axis.grid(axis="x", alpha=0.3)
    _save(figure, file)


def _save(figure: Any, file: Path) -> None:
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)
