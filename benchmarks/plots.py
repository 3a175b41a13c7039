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
WHOLE = {"plain": "#d9dde3", "peer": PEER, "no converter": "#a9bdf0", "ours": OURS}
STORE_TITLES = {"s3": "S3", "redis": "Redis"}


def draw(results: dict[str, Any], directory: Path) -> None:
    """Write a figure of each kind of results that there are."""
    tables = results["tables"]
    if "whole" in tables:
        _whole(tables["whole"], directory / "whole.svg")
    if "levels" in tables:
        _levels(tables["levels"], directory / "levels.svg")
    if results["growth"]:
        _growth(results["growth"], directory / "growth.svg")
    _ratios(results["lines"], directory / "ratios.svg")
    if "breakdown" in tables:
        breakdown.draw(tables["breakdown"], directory / "breakdown.svg")


def _whole(rows: list[dict[str, Any]], file: Path) -> None:
    """Batches a second when warm: a row of panels for each store, a panel for each number of orders."""
    some = [row for row in rows if not row["cell"]["makes_up"]]
    stores, orders, at_once, names = (
        list(dict.fromkeys(values))
        for values in (
            [row["cell"]["store"] for row in some],
            [row["cell"]["orders"] for row in some],
            [row["cell"]["at_once"] for row in some],
            [row["contestant"] for row in some],
        )
    )
    figure, axes = plt.subplots(
        len(stores), len(orders), figsize=(12, 3 * len(stores)), layout="constrained", squeeze=False
    )
    for store, line in zip(stores, axes, strict=True):
        for count, axis in zip(orders, line, strict=True):
            for number, name in enumerate(names):
                cells = [
                    row
                    for row in some
                    if row["contestant"] == name
                    and row["cell"]["store"] == store
                    and row["cell"]["orders"] == count
                ]
                places = [at_once.index(row["cell"]["at_once"]) + 0.2 * (number - 1.5) for row in cells]
                rates = [row["warm"]["rate"] if row["warm"] else 0 for row in cells]
                axis.bar(places, rates, 0.2, color=WHOLE[name], label=name)
                for place, row in zip(places, cells, strict=True):
                    if row["reason"]:
                        text = row["reason"].partition(":")[0]
                        axis.text(
                            place,
                            0.02,
                            text,
                            transform=axis.get_xaxis_transform(),
                            rotation=90,
                            fontsize=7,
                            ha="center",
                            va="bottom",
                        )
            axis.set_xticks(range(len(at_once)), [str(number) for number in at_once])
            axis.set_title(f"{count:,} order{'s' * (count > 1)}, {STORE_TITLES[store]}", fontsize=9)
            axis.set(xlabel="at once", ylabel="batches a second")
            axis.grid(axis="y", alpha=0.3)
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=len(names))
    _save(figure, file)


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
