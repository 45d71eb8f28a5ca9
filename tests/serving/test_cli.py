"""The commands as such: help, environment, start-up; building a model, and checking a codebook."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from serving.cli import main
from tests.conftest import ROOT, TINY_CODEBOOK, TINY_GOLD
from tests.serving.command_line import (
    COMMANDS,
    README_SENTENCE,
    SEAR,
    check_spans,
    records,
    run,
    start,
)


def test_missing_weights_are_named(tmp_path):
    result = run("classify", "--json", "--model", tmp_path / "none", SEAR)
    assert (result.stderr, result.stdout, result.exit_code) == (
        f"{tmp_path / 'none'}: expected trained weights, but found no manifest.json. "
        "Restore the folder, or train with `newsframe train`.\n",
        "",
        1,
    )


def test_a_wrong_base_encoder_is_refused_with_both_hashes(tmp_path, tiny_release, tiny_config):
    other = tmp_path / "encoder"
    other.mkdir()
    (other / "model.safetensors").write_bytes(b"another model")
    environment = {"NEWSFRAME_CACHE": str(tmp_path / "cache")}
    result = run("classify", "--model", tiny_release, "--encoder", other, SEAR, **environment)
    assert (result.stdout, result.exit_code) == ("", 1)
    assert result.stderr == (
        f"base encoder tests/tiny: expected model.safetensors with sha256 {tiny_config.encoder_sha256[:12]}…, "
        f"but found sha256 93dc44381b52… at {other}. Run a download of it, or name its folder with --encoder.\n"
    )


def test_a_missing_base_encoder_is_refused_with_its_hash(tmp_path, tiny_release, tiny_config):
    environment = {"NEWSFRAME_CACHE": str(tmp_path / "cache")}
    result = run("classify", "--model", tiny_release, SEAR, **environment)
    assert (result.stdout, result.exit_code) == ("", 1)
    assert result.stderr == (
        f"base encoder tests/tiny: expected model.safetensors with sha256 {tiny_config.encoder_sha256[:12]}…, "
        "but found none in the installed packages. Run a download of it, or name its folder with --encoder.\n"
    )


def test_build_prints_the_folder_and_puts_a_copy_where_asked(tmp_path, tiny_options):
    out = tmp_path / "artifact"
    result = run("build", *tiny_options, "--out", out)
    assert (result.exit_code, result.stdout) == (0, f"{out}\n")
    assert re.fullmatch(rf"[0-9a-f]{{12}}… at {re.escape(str(out))}\n", result.stderr)
    assert {path.name for path in out.iterdir()} == {
        "manifest.json", "model.onnx", "weights.bin", "tokenizer.json", "codebook.yaml"
    }  # fmt: skip
    # An artifact needs no base encoder any more.
    assert run("classify", "--json", "--model", out, SEAR).exit_code == 0


def test_build_without_a_copy_prints_the_folder_in_the_cache(tiny_options):
    result = run("build", *tiny_options)
    folder = Path(result.stdout.strip())
    assert folder.parent == Path(os.environ["NEWSFRAME_CACHE"])
    assert (folder / "model.onnx").is_file()


def test_build_writes_over_no_other_files(tmp_path, tiny_options):
    (tmp_path / "diary.txt").write_text("mine")
    result = run("build", *tiny_options, "--out", tmp_path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"{tmp_path}: expected an empty folder or an artifact, but found other files. Choose another --out.\n"
    )
    assert (tmp_path / "diary.txt").read_text() == "mine"


def test_codebook_prints_axes_labels_definitions_and_examples(tiny_options, tiny_codebook):
    result = run("codebook", *tiny_options[:2])
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == f"kitchen-notes 0.2 (en), sha256 {tiny_codebook.sha256[:12]}…"
    assert "foods (mention; gives the sentence-level axis diet): Which food is named?" in lines
    assert "  staple [plain]: None of the others." in lines
    assert "      bread; rice" in lines


def test_codebook_as_json_is_the_codebook(tiny_options, tiny_codebook):
    assert json.loads(run("codebook", "--json", *tiny_options[:2]).stdout) == tiny_codebook.to_dict()


def test_a_good_codebook_passes_its_check():
    result = run("codebook", "--check", TINY_CODEBOOK)
    assert (result.exit_code, result.stderr) == (0, "")


def test_the_check_of_a_codebook_names_every_problem(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        TINY_CODEBOOK.read_text()
        .replace("plain: staple", "plain: stapel")
        .replace("kind: target", "kind: goal")
        .replace("question: How is it done?", "quesiton: How is it done?")
    )
    result = run("codebook", "--check", path)
    assert (result.stdout, result.exit_code) == ("", 1)
    lines = result.stderr.splitlines()
    assert f"{path}: axes.foods.plain: expected one of the labels ['meat', 'plant', 'staple'] of a mention or target axis, but found 'stapel'. Correct the field." in lines  # fmt: skip
    assert f"{path}: axes.verdict.kind: expected one of ['mention', 'sentence', 'target'], but found 'goal'. Correct the field." in lines  # fmt: skip
    assert f"{path}: axes.manner.question: expected a text that is not empty, but found nothing. Correct the field." in lines  # fmt: skip
    assert any(line.startswith(f"{path}: axes.manner.quesiton: expected one of the fields [") for line in lines)
    assert len(lines) == 4


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, ": expected a codebook file, but found No such file or directory. Give the path of a YAML file."),
        (b"axes: [\n", ":2: expected YAML, but found expected the node content, but found '<stream end>'. Correct the file."),
        (b"name: \xff", ": expected UTF-8 text, but found other bytes. Save it as UTF-8."),
    ],
)  # fmt: skip
def test_a_file_that_is_no_codebook_is_refused(tmp_path, content, problem):
    path = tmp_path / "mine.yaml"
    if content is not None:
        path.write_bytes(content)
    result = run("codebook", "--check", path)
    assert (result.stdout, result.exit_code) == ("", 1)
    assert result.stderr == f"{path}{problem}\n"


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_has_examples(name, flag):
    result = run(name, flag)
    assert (result.exit_code, result.stderr) == (0, "")
    examples = result.stdout.partition("\nExamples:\n")[2].splitlines()
    assert len(examples) >= 2
    assert examples[0].startswith(f"  newsframe {name}")


def test_the_help_names_every_command_and_the_exit_codes():
    printed = " ".join(run("--help").stdout.split())
    assert all(f" {name} " in printed for name in COMMANDS)
    assert "Exit codes: 0 done, 1 an error in data or model, 2 usage, 3 a gate failed." in printed


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_an_environment_variable_that_the_help_names(name):
    options = [p for p in main.commands[name].params if isinstance(p, click.Option)]
    printed = run(name, "--help").stdout
    for option in options:
        assert option.envvar == "NEWSFRAME_" + option.opts[0].lstrip("-").replace("-", "_").upper()
        assert f"env var: {option.envvar}" in " ".join(printed.split())


def test_environment_variables_set_options(tiny_options):
    environment = {
        "NEWSFRAME_MODEL": tiny_options[1],
        "NEWSFRAME_ENCODER": tiny_options[3],
        "NEWSFRAME_JSON": "1",
        "NEWSFRAME_WITH_TEXT": "1",
    }
    [record] = records(run("classify", SEAR, **environment))
    assert record["text"] == SEAR


def test_an_option_wins_over_its_environment_variable(tmp_path, tiny_options):
    assert run("classify", "--json", *tiny_options, SEAR, NEWSFRAME_MODEL=str(tmp_path / "none")).exit_code == 0


def test_the_help_and_the_commands_load_no_heavy_library():
    heavy = ("numpy", "torch", "transformers", "onnxruntime", "bentoml", "rich", "trafilatura", "datasets")
    code = (
        "import sys, serving.cli\n"
        "try: serving.cli.main(['classify', '--help'])\n"
        "except SystemExit as end: assert not end.code\n"
        f"print(sorted(set(sys.modules) & set({heavy!r})), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stderr) == (0, "[]\n")


def test_labelling_needs_neither_torch_nor_transformers(tiny_options):
    code = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'datasets', 'sklearn'): sys.modules[name] = None\n"
        "import serving.cli; serving.cli.main()"
    )
    command = [sys.executable, "-c", code, "classify", "--json", *tiny_options, SEAR]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["status"] == "ok"


def test_a_command_whose_packages_are_missing_says_what_to_install(tiny_options):
    code = "import sys; sys.modules['sklearn'] = None; sys.modules['datasets'] = None\nimport serving.cli; serving.cli.main()"
    command = [sys.executable, "-c", code, "evaluate", str(TINY_GOLD), *tiny_options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "newsframe: expected the package datasets, but found it missing. "
        "Run `pip install -c requirements/constraints.txt -e '.[train]'` in the project's folder.\n"
    )


def test_the_installed_command_runs_from_any_folder(tmp_path, model_options):
    result = start("classify", "--json", *model_options, README_SENTENCE, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    [record] = records(result)
    check_spans(record, README_SENTENCE)


def test_the_version_is_printed():
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", start("--version").stdout)


def test_refusals_read_alike(tmp_path, tiny_options):
    none = tmp_path / "none"
    for arguments in (
        ("classify", *tiny_options, "--json", ""),
        ("classify", *tiny_options, "--json", f"{none}.txt"),
        ("classify", "--model", none, SEAR),
        ("evaluate", *tiny_options, f"{none}.jsonl"),
        ("codebook", "--check", f"{none}.yaml"),
    ):
        message = run(*arguments).stderr.rstrip("\n")
        # A place, what was expected, what was found, and one thing to do.
        assert re.fullmatch(r".+: expected .+, but found:? .+\. [A-Z].+\.", message), message
