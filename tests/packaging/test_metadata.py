"""What the repository says of its distributions in several places is the same everywhere."""

import re
import subprocess
import sys
import tomllib
import zipfile

import pytest
import yaml  # type: ignore[import-untyped]  # its types are a distribution of their own
from support.distributions import CORE, EXTRAS, FOLDERS, OFFERS, PLUGINS, ROOT, project

OFFERING = [name for name in PLUGINS if name in OFFERS.values()]


def test_what_core_knows_of_the_plugins_is_made_from_their_metadata():
    check = subprocess.run(
        [sys.executable, ROOT / "core/generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, check.stderr


def test_core_has_an_extra_for_each_plugin_in_the_range_in_which_the_plugin_takes_core():
    def short(plugin):
        return re.sub(r"-(codec|converter)$", "", plugin.removeprefix(f"{CORE}-"))

    range_of_core = {
        plugin: next(n for n in project(plugin)["dependencies"] if re.match(rf"{CORE}\W", n))
        for plugin in PLUGINS
    }
    assert {
        short(plugin): needed.replace(CORE, plugin, 1) for plugin, needed in range_of_core.items()
    } == EXTRAS


@pytest.mark.parametrize("distribution", FOLDERS)
def test_the_distributions_agree_on_what_an_index_shows(distribution):
    core, own = project(CORE), project(distribution)
    for key in ("version", "requires-python", "license", "license-files", "classifiers", "readme"):
        assert own[key] == core[key], key
    assert (FOLDERS[distribution] / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    for minor in (11, 12, 13, 14):
        assert f"Programming Language :: Python :: 3.{minor}" in own["classifiers"]


def offers_of(wheel):
    """Return the names of the entry points in a wheel's metadata."""
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        return re.findall(r"^([\w-]+) = temporal_payloads_", archive.read(name).decode(), re.MULTILINE)


@pytest.mark.parametrize("distribution", OFFERING)
def test_a_readme_is_true_of_its_wheel(built, distribution):
    readme = (FOLDERS[distribution] / "README.md").read_text()
    [first, *_] = re.findall(r"^(?: {4}|\$ )pip install (.*)$", readme, re.MULTILINE)
    assert distribution in [word.strip("'").partition("[")[0] for word in first.split()]
    assert readme.startswith(f"# {distribution}\n")
    offers = offers_of(built[distribution][0])
    assert [name for name in offers if not re.search(rf"\b{name}\b", readme.replace(distribution, ""))] == []
    for module, names in re.findall(r"^from (temporal_payloads\w*) import (.*)$", readme, re.MULTILINE):
        source = (FOLDERS[distribution] / "src" / module / "__init__.py").read_text()
        assert [name for name in re.findall(r"\w+", names) if f'"{name}"' not in source] == []


@pytest.mark.parametrize("distribution", OFFERING)
def test_the_first_settings_of_a_readme_are_configured_by_what_it_installs(install, distribution):
    readme = (FOLDERS[distribution] / "README.md").read_text()
    [installed, *_] = re.findall(r"^(?: {4}|\$ )pip install (.*)$", readme, re.MULTILINE)
    [settings, *_] = re.findall(r"^```toml\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    others = [name for name in installed.split() if name in PLUGINS and name != distribution]
    environment = install(distribution, *others)
    keys = dict.fromkeys(re.findall(r'env = "(\w+)"', settings), "11" * 32)
    files = {
        name: f"{number}" * 64 for number, name in enumerate(re.findall(r'file = "([\w.-]+)"', settings))
    }
    for name, text in (files | {"temporal-payloads.toml": settings}).items():
        (environment.folder / name).write_text(text)
    program = "from temporal_payloads import build_data_converter; build_data_converter(); print('built')"
    try:
        assert environment.run(program, **keys).strip() == "built"
    finally:
        (environment.folder / "temporal-payloads.toml").unlink()


def test_a_release_publishes_each_distribution_by_a_job_of_its_own():
    workflow = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
    jobs = workflow["jobs"]
    published = jobs["publish"]["strategy"]["matrix"]["distribution"]
    assert {each["name"]: ROOT / each["folder"] for each in published} == FOLDERS
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert workflow["permissions"] == {"contents": "read"}
    assert "secrets." not in (ROOT / ".github/workflows/release.yml").read_text()


def test_what_a_release_publishes_is_built_where_nothing_else_has_run():
    jobs = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"]
    steps = {name: [*map(str, job["steps"])] for name, job in jobs.items()}

    def jobs_with(*words):
        return [name for name, each in steps.items() if any(all(w in step for w in words) for step in each)]

    assert jobs_with("hatchling build") == jobs_with("upload-artifact", "'dist'") == ["package"]
    assert jobs_with("download-artifact", "'dist'") == ["publish"]
    assert (jobs["publish"]["needs"], jobs["package"]["needs"]) == ("package", "test")
    assert jobs_with(".ci/run") == ["test"]
    [installs] = re.findall(r"\S*pip\S* install .*", jobs["package"]["steps"][2]["run"])
    assert "--require-hashes" in installs
    assert installs.endswith("-r requirements/build.txt")
    assert not any(word in step for step in steps["package"] for word in (".venv", "make ", "cache"))
    pinned = (ROOT / "requirements/build.txt").read_text()
    assert set(pinned.replace(" \\", "").splitlines()) <= {
        *(ROOT / "requirements/dev.txt").read_text().replace(" \\", "").splitlines()
    }


def test_what_the_distributions_consist_of_is_attached_to_the_release():
    jobs = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"]
    assert jobs["attach"]["permissions"] == {"contents": "write"}
    assert "gh release upload" in jobs["attach"]["steps"][-1]["run"]
    assert [name for name, job in jobs.items() if "write" in str(job.get("permissions"))] == [
        "publish",
        "attach",
    ]


def test_the_workspace_names_every_distribution():
    root = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = {name.replace("-", "_") for name in FOLDERS}
    assert packages == set(root["tool"]["importlinter"]["root_packages"])
    assert set(FOLDERS) <= root["tool"]["uv"]["sources"].keys()
