"""`temporal-payloads new-plugin` writes a distribution to start from, and overwrites nothing.

That what it writes is typed, can be built, and passes its own tests, is told in `tests/packaging`.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from temporal_payloads._cli import main
from temporal_payloads._cli.new_plugin import MAX_NAME_LENGTH, compatible_with

LONGEST = "a-name_of_the-longest-th"
"""That a name can be, with every character that it can have."""


def files_in(directory):
    return {str(file.relative_to(directory)) for file in directory.rglob("*") if file.is_file()}


def test_a_driver_has_the_rooms_that_every_driver_has(tmp_path):
    assert main(["new-plugin", "driver", "my-shelf"]) == 0
    written = tmp_path / "temporal-payloads-my-shelf"
    package = "src/temporal_payloads_my_shelf"
    assert files_in(written) == {
        ".gitignore",
        "README.md",
        "pyproject.toml",
        *(
            f"{package}/{name}"
            for name in ("__init__.py", "_driver.py", "_plugin.py", "_settings.py", "py.typed")
        ),
        "tests/test_conformance.py",
        "tests/test_driver.py",
    }
    project = tomllib.loads((written / "pyproject.toml").read_text())["project"]
    assert project["name"] == "temporal-payloads-my-shelf"
    assert project["entry-points"]["temporal_payloads.drivers"] == {
        "my_shelf": "temporal_payloads_my_shelf._plugin"
    }


def test_a_codec_has_those_of_a_codec(tmp_path):
    assert main(["new-plugin", "codec", "brotli", "--directory", "elsewhere/brotli"]) == 0
    written = tmp_path / "elsewhere" / "brotli"
    assert "src/temporal_payloads_brotli_codec/_codec.py" in files_in(written)
    project = tomllib.loads((written / "pyproject.toml").read_text())["project"]
    assert project["name"] == "temporal-payloads-brotli-codec"
    assert project["entry-points"]["temporal_payloads.codecs"] == {
        "brotli": "temporal_payloads_brotli_codec._plugin"
    }


def test_the_store_that_a_driver_begins_with_says_that_it_is_an_example(tmp_path):
    assert main(["new-plugin", "driver", "shelf", "--directory", "new"]) == 0
    for file in ("README.md", "src/temporal_payloads_shelf/_driver.py"):
        text = (tmp_path / "new" / file).read_text()
        assert re.search("example.*not for production", text, re.DOTALL), file


def test_it_says_what_to_do_next(capsys):
    assert main(["new-plugin", "driver", "book-shelf", "--directory", "my shelf"]) == 0
    shown = capsys.readouterr().out
    assert "Wrote temporal-payloads-book-shelf to my shelf." in shown
    assert "In settings it is the driver 'book_shelf'." in shown
    for command in ("cd 'my shelf'", "pip install -e '.[dev]'", "pytest && mypy", "grep -rn TODO"):
        assert command in shown


@pytest.mark.parametrize("kind", ["driver", "codec"])
def test_nothing_is_left_open_and_each_place_for_ones_own_code_is_marked(tmp_path, kind):
    assert main(["new-plugin", kind, "shelf", "--directory", "new"]) == 0
    for name in files_in(tmp_path / "new"):
        assert not re.search(r"\$\{?\w", (tmp_path / "new" / name).read_text()), name
    marked = {name for name in files_in(tmp_path / "new") if "TODO" in (tmp_path / "new" / name).read_text()}
    assert {"README.md", "pyproject.toml", "tests/test_conformance.py"} < marked
    assert any(name.endswith(f"/_{kind}.py") for name in marked)


@pytest.mark.parametrize("kind", ["driver", "codec"])
@pytest.mark.parametrize("name", ["x", LONGEST])
def test_whatever_its_name_no_line_is_too_long_and_ruff_finds_nothing(tmp_path, kind, name):
    assert len(LONGEST) == MAX_NAME_LENGTH
    assert main(["new-plugin", kind, name, "--directory", "new"]) == 0
    for command in (("check",), ("format", "--check", "--diff")):
        ruff = [str(Path(sys.executable).with_name("ruff")), *command, "--no-cache", "."]
        done = subprocess.run(ruff, cwd=tmp_path / "new", capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_it_writes_into_a_directory_that_is_empty(tmp_path):
    (tmp_path / "new").mkdir()
    assert main(["new-plugin", "driver", "shelf", "--directory", "new"]) == 0
    assert "pyproject.toml" in files_in(tmp_path / "new")
    assert [file.name for file in tmp_path.iterdir()] == ["new"]


def test_it_overwrites_nothing(tmp_path, capsys):
    assert main(["new-plugin", "driver", "shelf"]) == 0
    file = tmp_path / "temporal-payloads-shelf" / "pyproject.toml"
    file.write_text("mine")
    (tmp_path / "a-file").write_text("mine")
    for arguments in ([], ["--directory", "a-file"], ["--directory", "a-file/new"]):
        capsys.readouterr()
        assert main(["new-plugin", "driver", "shelf", *arguments]) == 3
        assert "cannot write" in capsys.readouterr().err
    assert file.read_text() == (tmp_path / "a-file").read_text() == "mine"
    assert files_in(tmp_path) >= {"a-file", "temporal-payloads-shelf/pyproject.toml"}
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    "name", ["", "Shelf", "9lives", "my shelf", "shelf-", "a--b", "../shelf", "größe", "x" * 25, "a.b"]
)
def test_a_name_that_no_plugin_can_have_is_told(tmp_path, capsys, name):
    assert main(["new-plugin", "driver", name]) == 2
    assert f"{name!r} can be no plugin's name: it has lower-case letters" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("driver", "s3", "would stand in the way of temporal-payloads-s3"),
        ("codec", "gzip", "would stand in the way of temporal-payloads-gzip-codec"),
        ("codec", "encrypted", "would stand in the way of temporal-payloads-encryption-codec"),
        ("driver", "memory", "would stand in the way of temporal-payloads; choose"),
        ("driver", "gzip-codec", "would stand in the way of temporal-payloads-gzip-codec"),
        ("driver", "msgspec_converter", "would stand in the way of temporal-payloads-msgspec-converter"),
        ("driver", "aws-kms", "would stand in the way of temporal-payloads-aws-kms"),
        *(
            (
                "codec",
                name,
                f"would stand in the way of the SDK's payload converters, which write 'binary/{name}'",
            )
            for name in ("null", "plain", "protobuf")
        ),
        ("driver", "inline", "means the history itself"),
    ],
)
def test_a_name_that_means_something_else_is_told(tmp_path, capsys, kind, name, message):
    assert main(["new-plugin", kind, name]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_help_teaches_with_examples(capsys):
    assert main(["new-plugin", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for told in (
        "TODO",
        "a - becomes a _ in settings",
        "Exit status:",
        "temporal-payloads new-plugin driver shelf",
        "--directory D",
    ):
        assert told in shown


def test_another_kind_is_an_error_of_the_command_line(capsys):
    assert main(["new-plugin", "storage", "shelf"]) == 2
    told = "error: Invalid value for 'KIND': 'storage' is not one of 'driver', 'codec'."
    assert capsys.readouterr().err.startswith(told)


@pytest.mark.parametrize(
    ("release", "versions"),
    [("0.1.0", ">=0.1,<0.2"), ("0.12.3rc1", ">=0.12,<0.13"), ("1.4.2", ">=1.4,<2"), ("2.0.0", ">=2.0,<3")],
)
def test_it_depends_on_the_releases_of_core_that_are_compatible_with_this_one(release, versions):
    assert compatible_with(release) == versions
