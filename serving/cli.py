"""The command line. Every command imports what it needs when it runs: `--help` loads none of it."""

import math
import sys
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import click

from model.errors import MissingExtra, NewsframeError

DONE, FAILED, USAGE, GATE = 0, 1, 2, 3
_PATH = click.Path(path_type=Path)


class Examples(click.Command):
    """A command whose epilog, its examples, keeps its lines."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they stand."""
        if self.epilog:
            with formatter.section("Examples"):
                for line in self.epilog.strip().splitlines():
                    formatter.write(f"  {line.strip()}\n")


def refusals(command: Callable[..., int]) -> Callable[..., None]:
    """Turn a refusal into one message on stderr and exit code 1, and the returned code into the exit code."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            code = command(*args, **kwargs)
        except NewsframeError as error:
            click.echo(str(error), err=True)
            code = FAILED
        except ModuleNotFoundError as error:
            click.echo(str(MissingExtra(
                f"newsframe: expected the package {error.name}, but found it missing. "
                "Run `pip install -c requirements/constraints.txt -e '.[train]'` in the project's folder."
            )), err=True)  # fmt: skip
            code = FAILED
        except BrokenPipeError:  # the reader, such as `head`, has seen enough
            sys.stderr.close()
            code = DONE
        sys.exit(code)

    return wrapped


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose the model."""
    command = click.option(
        "--encoder", type=_PATH, envvar="NEWSFRAME_ENCODER", show_envvar=True,
        help="Folder of the base encoder, where its package is not installed.",
    )(command)  # fmt: skip
    return click.option(
        "--model", type=_PATH, envvar="NEWSFRAME_MODEL", show_envvar=True,
        help="An artifact or trained weights, instead of the shipped model.",
    )(command)  # fmt: skip


def option(*names: str, **settings: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """An option that an environment variable can set, named in the help."""
    variable = "NEWSFRAME_" + names[0].lstrip("-").replace("-", "_").upper()
    return click.option(*names, **{"envvar": variable, "show_envvar": True, **settings})


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="newsframe", message="%(version)s")
def main() -> None:
    """Label sentences of news by how they frame a conflict.

    Data goes to stdout, progress and messages to stderr. Exit codes: 0 done, 1 an error in data or model, 2 usage,
    3 a gate failed.
    """


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
newsframe evaluate gold.jsonl
newsframe evaluate --part dev --baselines       # the development split, beside majority and keywords
newsframe evaluate gold.jsonl --json --fail-under AXIS.macro_f1=0.85
""")  # fmt: skip
@click.argument("gold", type=_PATH, required=False)
@option(
    "--part",
    type=click.Choice(["train", "dev", "test", "transfer"]),
    help="A part of the project's own data, instead of a file.",
)
@option(
    "--corpora", type=_PATH, default=Path("../shared/corpora"), show_default=True,
    help="Folder of the public corpora, for --part and --baselines.",
)  # fmt: skip
@option("--baselines", is_flag=True, help="Score a majority and a keyword baseline beside the model.")
@option("--json", "as_json", is_flag=True, help="The results as JSON.")
@option(
    "--fail-under", multiple=True, metavar="AXIS.METRIC=VALUE", help="Exit with 3 if the metric is lower. Repeatable."
)
@option("--threads", type=click.IntRange(0), default=0, help="Threads of a run; 0 takes the cores there are.")
@model_options
@refusals
def evaluate(
    gold: Path | None, part: str | None, corpora: Path, baselines: bool, as_json: bool, fail_under: tuple[str, ...],
    threads: int, model: Path | None, encoder: Path | None,
) -> int:  # fmt: skip
    """Score a model on annotated sentences: precision, recall and F1 a label, macro-F1 an axis, span F1.

    GOLD is a file of gold records under the model's codebook, one JSON object a line.
    """
    if (gold is None) == (part is None):
        raise click.UsageError("Give either a file of gold records or --part.")
    gates = [_gate(text) for text in fail_under]

    import json

    from model.artifact import find_artifact, load_artifact
    from model.engine import Engine
    from model.records import load_gold
    from serving.table import Terminal, metrics_table
    from training.evaluation import evaluate_predictor, lookup
    from training.project import baseline_predictors, load_part

    engine = Engine(load_artifact(find_artifact(model, encoder)), threads)
    codebook = engine.artifact.codebook
    sentences = load_gold(gold, codebook) if gold else load_part(str(part), corpora, codebook)
    results = evaluate_predictor(sentences, engine, codebook)
    others = baseline_predictors(corpora, codebook) if baselines else {}
    beside = {name: evaluate_predictor(sentences, predict, codebook) for name, predict in others.items()}
    if as_json:
        shown = {"model": engine.artifact.model_info, **results} | ({"baselines": beside} if beside else {})
        click.echo(json.dumps(shown, ensure_ascii=False, indent=2))
    else:
        metrics_table(results, beside, Terminal())
    code = DONE
    for path, least in gates:
        try:
            value = lookup(results, path)
        except KeyError as error:
            raise click.UsageError(f"--fail-under: {error.args[0]}") from None
        if value < least:
            click.echo(f"{path}: expected at least {least}, but found {value:.4f}.", err=True)
            code = GATE
    return code


def _gate(text: str) -> tuple[str, float]:
    path, _, value = text.partition("=")
    try:
        least = float(value)
    except ValueError:
        least = math.nan
    if not math.isfinite(least):
        raise click.UsageError(f"--fail-under: expected AXIS.METRIC=NUMBER, but found {text!r}.")
    return path.strip(), least


@main.command(cls=Examples, epilog="""
newsframe train --corpora ../shared/corpora --out build/release
newsframe train --codebook mine.yaml --data mine.jsonl --out build/mine
""")  # fmt: skip
@option(
    "--config", type=_PATH, default=Path(__file__).parent.parent / "training/config.toml",
    show_default="training/config.toml of the project", help="The configuration.",
)  # fmt: skip
@option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="A value that wins over the configuration's.")
@option(
    "--corpora", type=_PATH, default=Path("../shared/corpora"), show_default=True, help="Folder of the public corpora."
)
@option("--codebook", type=_PATH, help="Your own codebook; needs --data.")
@option("--data", type=_PATH, help="Your own gold records, one JSON object a line.")
@option("--out", type=_PATH, default=Path("build/release"), show_default=True, help="Folder for the trained weights.")
@click.option("--encoder", type=_PATH, envvar="NEWSFRAME_ENCODER", show_envvar=True, help="Folder of the base encoder.")
@refusals
def train(
    config: Path, overrides: tuple[str, ...], corpora: Path, codebook: Path | None, data: Path | None, out: Path,
    encoder: Path | None,
) -> int:  # fmt: skip
    """Fine-tune a model: the project's own, or one for your codebook.

    Splits by article, stops early on the development split, packs and calibrates, and writes weights with a manifest.
    """
    from training.project import train_from_command_line

    if (codebook is None) != (data is None):
        raise click.UsageError("Give --codebook and --data together.")
    train_from_command_line(config, overrides, corpora, codebook, data, out, encoder)
    return DONE


@main.command(cls=Examples, epilog="""
newsframe build
newsframe build --out artifact                   # a copy to put into a bento or an image
""")  # fmt: skip
@option("--out", type=_PATH, help="Folder to put a copy into, besides the cache.")
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
curl -s localhost:3000/v1/classify -H 'Content-Type: application/json' -d '{"inputs": ["The ministers met in Moscow."]}'
""")  # fmt: skip
@option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Port to listen on.")
@option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes, each with the model.")
@model_options
@refusals
def serve(host: str, port: int, workers: int, model: Path | None, encoder: Path | None) -> int:
    """Serve the model over HTTP."""
    from serving.launch import serve as launch

    return launch(host, port, workers, model, encoder)


@main.command(cls=Examples, epilog="""
newsframe codebook                               # the shipped model's codebook
newsframe codebook --check mine.yaml
""")  # fmt: skip
@option("--check", type=_PATH, help="Check this file instead; every problem is named.")
@option("--json", "as_json", is_flag=True, help="The codebook as JSON.")
@click.option("--model", type=_PATH, envvar="NEWSFRAME_MODEL", show_envvar=True, help="Trained weights or an artifact.")
@refusals
def codebook(check: Path | None, as_json: bool, model: Path | None) -> int:
    """Print and check a codebook: axes, labels, definitions, examples."""
    import json

    from model.codebook import load_codebook
    from model.weights import CODEBOOK, RELEASE

    found = load_codebook(check or (model or RELEASE) / CODEBOOK)
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
