"""What the code and its dependencies are: no pickles, no code of models, no known weaknesses, a bill of materials."""

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from deploy.audit import verdict

ROOT = Path(__file__).parents[1]
OURS = ("engine", "encoders", "indexers", "proto/triveni/client", "benchmarks", "examples", "docs", "deploy")

FORBIDDEN = {
    r"^\s*(import|from)\s+(pickle|cPickle|dill|cloudpickle|joblib|shelve|marshal)\b": "reads pickles",
    r"\bpickle\.loads?\(|\bjoblib\.load\(|read_pickle\(|allow_pickle\s*=\s*True": "reads pickles",
    r"\btorch\.load\((?!.*weights_only=True)": "reads pickles: say weights_only=True",
    r"trust_remote_code\s*=\s*True": "runs code of a model",
    r"\byaml\.(load|full_load|unsafe_load)\(": "makes objects of YAML: use safe_load",
    r"(?<![\w.])(eval|exec)\(": "runs what it is given",
}


def wrong_lines(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return [f"{line.strip()} ({why})" for line in lines for rule, why in FORBIDDEN.items() if re.search(rule, line)]


def test_nothing_reads_pickles_or_runs_code_of_models() -> None:
    found = {}
    for folder in OURS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if wrong := wrong_lines(path.read_text(encoding="utf-8")):
                found[str(path.relative_to(ROOT))] = wrong
    assert found == {}


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "torch.load(path, map_location='cpu')",
        "np.load(path, allow_pickle=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "yaml.load(text)",
        "eval(text)",
    ],
)
def test_the_rules_see_what_they_are_for(line: str) -> None:
    assert wrong_lines(line)


def test_plain_code_breaks_no_rule() -> None:
    assert wrong_lines("torch.load(path, weights_only=True)\nmodel.eval()\nnp.load(path, allow_pickle=False)") == []


def test_an_audit_without_answers_is_none() -> None:
    well = {"name": "a", "version": "1", "vulns": []}
    weak = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1"}]}
    unknown = {"name": "c", "skip_reason": "not found"}
    assert verdict({"dependencies": [well]}) == ("1 dependencies have no known weaknesses", True)
    assert verdict({"dependencies": [well, weak]}) == ("b 2: CVE-1", False)
    told, all_well = verdict({"dependencies": [well, unknown]})
    assert (told.startswith("1 of 2 dependencies are NOT audited, such as c"), all_well) == (True, False)
    assert verdict(None)[1] is False


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found.items()}


@pytest.mark.skipif(importlib.util.find_spec("cyclonedx_py") is None, reason="the extra `audit` is not installed")
def test_the_bill_of_materials_names_every_pin(tmp_path: Path) -> None:
    """By the command of the Makefile."""
    recipe = re.search(r"^\t\$\(BIN\)/python .* -m cyclonedx_py (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    out = tmp_path / "sbom.json"
    words = [*recipe[1].replace("var/sbom.cdx.json", str(out)).split(), "--no-validate"]
    subprocess.run([sys.executable, "-m", "cyclonedx_py", *words], cwd=ROOT, check=True, capture_output=True)
    bill = json.loads(out.read_text())
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == "triveni"
    found = {re.sub(r"[-_.]+", "-", one["name"]).lower(): one["version"] for one in bill["components"]}
    assert found == pins()


def test_every_pin_is_one_version() -> None:
    assert len(pins()) > 200
    assert all(re.fullmatch(r"[\w.+!]+", version) for version in pins().values())


def test_tools_of_the_audit_are_an_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {re.split(r"[<>=;\[]", one)[0] for one in extras["audit"]}
    assert named == {"bandit", "pip-audit", "cyclonedx-bom"}
    assert not {"pip-audit", "cyclonedx-bom"} & {re.split(r"[<>=;\[]", one)[0] for one in extras["dev"]}
