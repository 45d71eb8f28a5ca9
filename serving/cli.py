"""The command line. Every command imports what it needs when it runs: `--help` loads none of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from serving.cli_archive import report, score
from serving.cli_gold import annotate, evaluate, train
from serving.cli_options import DONE, FAILED, PATH, Examples, model_options, option, refusals


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="newsframe", message="%(version)s")
def main() -> None:
    """Label sentences of news by how they frame a conflict.

    Data goes to stdout, progress and messages to stderr. Exit codes: 0 done, 1 an error in data or model, 2 usage,
    3 a gate failed.
    """


for command in (score, report, evaluate, train, annotate):
    main.add_command(command)


@main.command(cls=Examples, epilog="""
newsframe classify "The ministers met in Moscow, the agency said."
newsframe classify article.txt                   # the article's sentences, page furniture left out
newsframe classify --json sentences.jsonl > labelled.jsonl
cat article.txt | newsframe classify -
""")  # fmt: skip
@click.argument("inputs", nargs=-1, required=True, metavar="[TEXT | FILE | FOLDER | -]...")
@option("--json", "as_json", is_flag=True, help="One labelled sentence a line, as JSON.")
@option("--with-text", is_flag=True, help="With --json: carry each sentence's words in the field 'text'.")
@option("--split", is_flag=True, help="Take each JSON Lines record as a document, and segment it.")
@option(
    "--input-format", type=click.Choice(["auto", "text", "html", "jsonl"]), default="auto", show_default=True,
    help="What files and stdin hold; auto goes by the file's name, then by its first character.",
)  # fmt: skip
@option("--threads", type=click.IntRange(0), default=0, help="Threads of a run; 0 takes the cores there are.")
@model_options
@refusals
def classify(
    inputs: tuple[str, ...], as_json: bool, with_text: bool, split: bool, input_format: str, threads: int,
    model: Path | None, encoder: Path | None,
) -> int:  # fmt: skip
    """Label sentences or articles.

    A text, a .txt or .html file and a folder are articles, and are segmented; a JSON Lines record {"id", "text"} is
    one sentence, labelled as it stands.
    """
    from model.artifact import find_artifact
    from model.jsonl import dumps
    from model.labeller import Labeller
    from model.predictions import ERROR
    from serving.classify import label_inputs
    from serving.inputs import read_inputs
    from serving.table import SentenceTable, Terminal

    labeller = Labeller.load(find_artifact(model, encoder), threads)
    table = SentenceTable(labeller.codebook, Terminal())
    failed = False
    for source, sentences in label_inputs(labeller, read_inputs(inputs, input_format), split):
        for text, record in sentences:
            if record["status"] == ERROR:
                failed = True
                click.echo(record["error"], err=True)
            if as_json:
                click.echo(dumps(record | {"text": text} if with_text and text else record))
        if not as_json:
            table.print(source, sentences)
    return FAILED if failed else DONE


@main.command(cls=Examples, epilog="""
newsframe build
newsframe build --out artifact                   # a copy to put into a bento or an image
""")  # fmt: skip
@option("--out", type=PATH, help="Folder to put a copy into, besides the cache.")
@model_options
@refusals
def build(out: Path | None, model: Path | None, encoder: Path | None) -> int:
    """Join trained weights with the base encoder into the serving artifact (ONNX), cached by content."""
    from model.artifact import build_artifact, load_artifact
    from model.weights import RELEASE

    folder = build_artifact(model or RELEASE, encoder, out)
    click.echo(f"{load_artifact(folder).manifest['content'][:12]}… at {folder}", err=True)
    click.echo(folder)
    return DONE


@main.command(cls=Examples, epilog="""
newsframe serve
newsframe serve --port 8080 --workers 2
newsframe serve --api-keys-file keys.txt --cors-origins "https://desk.example.org https://example.org"
curl -s localhost:3000/v1/classify -H 'Content-Type: application/json' -d '{"inputs": ["The ministers met in Moscow."]}'
""")  # fmt: skip
@option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Port to listen on.")
@option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes, each with the model.")
@option(
    "--api-keys-file", type=PATH,
    help="API keys, one a line; read anew when it changes. Keys may stand in NEWSFRAME_API_KEYS too. Without any, "
    "everybody may ask.",
)  # fmt: skip
@option(
    "--cors-origins", default="", metavar="ORIGINS",
    help="Origins, such as https://example.org, of web pages whose scripts may ask; * is every one.",
)  # fmt: skip
@model_options
@refusals
def serve(
    host: str, port: int, workers: int, api_keys_file: Path | None, cors_origins: str, model: Path | None,
    encoder: Path | None,
) -> int:  # fmt: skip
    """Serve the model over HTTP."""
    from serving.launch import serve as launch

    return launch(host, port, workers, model, encoder, api_keys_file, cors_origins.split())


@main.command(cls=Examples, epilog="""
newsframe codebook                               # the shipped model's codebook
newsframe codebook --check mine.yaml
""")  # fmt: skip
@option("--check", type=PATH, help="Check this file instead; every problem is named.")
@option("--json", "as_json", is_flag=True, help="The codebook as JSON.")
@click.option("--model", type=PATH, envvar="NEWSFRAME_MODEL", show_envvar=True, help="Trained weights or an artifact.")
@refusals
def codebook(check: Path | None, as_json: bool, model: Path | None) -> int:
    """Print and check a codebook: axes, labels, definitions, examples."""
    import json

    from model.codebook import load_codebook
    from model.weights import codebook_file

    found = load_codebook(check or codebook_file(model))
    if as_json:
        click.echo(json.dumps(found.to_dict(), ensure_ascii=False, indent=2))
        return DONE
    click.echo("\n".join(_codebook_lines(found.to_dict())))
    return DONE


def _codebook_lines(data: dict[str, Any]) -> Iterator[str]:
    yield f"{data['name']} {data['version']} ({data['language']}), sha256 {data['sha256'][:12]}…"
    for axis in data["axes"]:
        derived = f"; gives the sentence-level axis {axis['summary']}" if axis["summary"] else ""
        yield f"\n{axis['name']} ({axis['kind']}{derived}): {axis['question']}"
        yield f"  {axis['definition']}"
        for label in axis["labels"]:
            plain = " [plain]" if label["name"] == axis["plain"] else ""
            yield f"  {label['name']}{plain}: {label['definition']}"
            if label["examples"]:
                yield f"      {'; '.join(label['examples'])}"
        for rule in axis["rules"]:
            yield f"  - {rule}"
        for case in axis["hard_cases"]:
            yield f"  “{case['text']}”: {case['label'] or 'no label'} ({case['why']})"


if __name__ == "__main__":
    main()
