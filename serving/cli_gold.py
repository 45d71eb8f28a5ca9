"""The commands that work on annotated sentences: evaluate, train, annotate. They alone reach the room `training/`."""

import math
from pathlib import Path
from typing import Any

import click

from serving.cli_options import DONE, FAILED, GATE, PATH, Examples, model_options, option, refusals


@click.command(cls=Examples, epilog="""
newsframe evaluate gold.jsonl --out evaluation   # metrics.json, predictions.jsonl, report.html
newsframe evaluate --part dev --baselines --by source
newsframe evaluate gold.jsonl --against build/other        # is the difference more than luck?
newsframe evaluate gold.jsonl --predictions theirs.jsonl   # another system, by the same rules
newsframe evaluate dev.jsonl --sources sources.yaml        # a test file in the form of a corpus
newsframe evaluate gold.jsonl --json --fail-under AXIS.macro_f1=0.85 --fail-above calibration.AXIS.ece=0.05
""")  # fmt: skip
@click.argument("gold", type=PATH, required=False)
@option(
    "--part",
    type=click.Choice(["train", "dev", "test", "transfer"]),
    help="A part of the project's own data, instead of a file.",
)
@option(
    "--corpora", type=PATH, default=Path("../shared/corpora"), show_default=True,
    help="Folder of the public corpora, for --part and --baselines.",
)  # fmt: skip
@option(
    "--sources", type=PATH, metavar="FILE",
    help="Read GOLD in the form of the corpus that this sources.yaml describes.",
)  # fmt: skip
@option("--predictions", type=PATH, help="Score this file of labelled sentences, joined by id; no model is run.")
@option("--codebook", type=PATH, help="With --predictions: their codebook, instead of the model's.")
@option("--against", type=PATH, help="Compare with another model, or with a file of its predictions.")
@option("--by", multiple=True, metavar="FIELD", help="Score each value of a field of the gold apart. Repeatable.")
@option("--baselines", is_flag=True, help="Score a majority and a keyword baseline beside the model.")
@option("--out", type=PATH, help="Folder for metrics.json, predictions.jsonl and report.html.")
@option("--json", "as_json", is_flag=True, help="The results as JSON: the content of metrics.json.")
@option("--resamples", type=click.IntRange(1), default=1000, show_default=True, help="Resamples for each interval.")
@option("--mistakes", type=click.IntRange(0), default=50, show_default=True, help="How many errors to list.")
@option("--seed", type=click.IntRange(0), default=7, show_default=True, help="Seed of resampling.")
@option("--fail-under", multiple=True, metavar="PATH=VALUE", help="Exit with 3 if a figure is lower. Repeatable.")
@option("--fail-above", multiple=True, metavar="PATH=VALUE", help="Exit with 3 if a figure is higher. Repeatable.")
@option("--threads", type=click.IntRange(0), default=0, help="Threads of a run; 0 takes the cores there are.")
@model_options
@refusals
def evaluate(
    out: Path | None, as_json: bool, fail_under: tuple[str, ...], fail_above: tuple[str, ...], **settings: Any
) -> int:
    """Score a model, or the predictions of any system, on annotated sentences.

    GOLD is a file of gold records under the model's codebook, one JSON object a line. Precision, recall and F1 a
    label, macro-F1 an axis and span F1, with 95 % intervals by bootstrap over articles; calibration, confusion and the
    most confident errors.
    """
    if (settings["gold"] is None) == (settings["part"] is None):
        raise click.UsageError("Give either a file of gold records or --part.")
    if settings["sources"] and settings["part"]:
        raise click.UsageError("--sources goes with a file.")
    if settings["codebook"] and not settings["predictions"]:
        raise click.UsageError("--codebook goes with --predictions: a model brings its own.")
    gates = [_gate("--fail-under", text) for text in fail_under] + [_gate("--fail-above", text) for text in fail_above]

    from serving.table import Terminal, comparison_table, metrics_table
    from training.evaluate_run import EvaluationOptions, prepare_output, run_evaluation, write_evaluation
    from training.evaluate_run import as_json as to_json

    if out:
        prepare_output(out)
    found = run_evaluation(EvaluationOptions(**settings), lambda text: click.echo(text, err=True))
    if out:
        write_evaluation(out, found)
    if as_json:
        click.echo(to_json(found.everything))
    else:
        metrics_table(found.results, found.baselines, Terminal())
        comparison_table(found.everything.get("comparison"), Terminal())
    return _hold_gates(gates, found.everything)


def _gate(name: str, text: str) -> tuple[str, str, float]:
    path, _, value = text.partition("=")
    try:
        bound = float(value)
    except ValueError:
        bound = math.nan
    if not math.isfinite(bound):
        raise click.UsageError(f"{name}: expected AXIS.METRIC=NUMBER, but found {text!r}.")
    return name, path.strip(), bound


def _hold_gates(gates: list[tuple[str, str, float]], everything: dict[str, Any]) -> int:
    from training.evaluation import lookup

    code = DONE
    for name, path, bound in gates:
        try:
            value = lookup(everything, path)
        except KeyError as error:
            raise click.UsageError(f"{name}: {error.args[0]}") from None
        if value < bound if name == "--fail-under" else value > bound:
            most = "least" if name == "--fail-under" else "most"
            click.echo(f"{path}: expected at {most} {bound}, but found {value:.4f}.", err=True)
            code = GATE
    return code


@click.command(cls=Examples, epilog="""
newsframe train --corpora ../shared/corpora --out build/release
newsframe train --codebook mine.yaml --data mine.jsonl --out build/mine
newsframe train --codebook R/codebook.yaml --sources R/sources.yaml --config R/config.toml --out build/benchmark
newsframe train --teacher build/teacher --teacher-encoder all-mpnet-base-v2 --out build/release
""")  # fmt: skip
@option(
    "--config", type=PATH, show_default="training/config.toml; under 500 sentences of --data training/few.toml",
    help="The configuration; keys it leaves out are the default's.",
)  # fmt: skip
@option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="A value that wins over the configuration's.")
@option(
    "--corpora", type=PATH, default=Path("../shared/corpora"), show_default=True, help="Folder of the public corpora."
)
@option("--codebook", type=PATH, help="Your own codebook; needs --data or --sources.")
@option("--data", type=PATH, help="Your own gold records, one JSON object a line; needs --codebook.")
@option("--sources", type=PATH, metavar="FILE", help="A sources.yaml of your own, instead of --data.")
@option(
    "--start", metavar="FOLDER|none",
    help="Trained weights whose encoder the run starts from, and heads where the configuration says keep_heads. By "
    "default, your own codebook starts from the shipped weights, if they stand on the same base encoder, and the "
    "project's from the base encoder.",
)  # fmt: skip
@option("--teacher", type=PATH, metavar="FOLDER", help="Trained weights of a larger model under the same codebook.")
@option("--teacher-encoder", type=PATH, metavar="FOLDER", help="The base encoder of the teacher.")
@option(
    "--weights", type=PATH, metavar="FILE|FOLDER",
    help="The …-float.safetensors or the release that an earlier run left: pack, export and measure it anew, "
    "without training.",
)  # fmt: skip
@option("--out", type=PATH, default=Path("build/release"), show_default=True, help="Folder for the trained weights.")
@click.option("--encoder", type=PATH, envvar="NEWSFRAME_ENCODER", show_envvar=True, help="Folder of the base encoder.")
@refusals
def train(**settings: Any) -> int:
    """Fine-tune a model: the project's own, or one for your codebook.

    Splits by article, stops early on the development split, packs and calibrates, and writes weights with a manifest.
    With few sentences none are held out: cross-validation calibrates and measures.
    """
    if settings["data"] and settings["sources"]:
        raise click.UsageError("Give --data or --sources, not both.")
    if bool(settings["codebook"]) != bool(settings["data"]) and not settings["sources"]:
        raise click.UsageError("Give --codebook and --data together.")
    if settings["teacher_encoder"] and not settings["teacher"]:
        raise click.UsageError("--teacher-encoder goes with --teacher.")
    from training.project import TrainOptions, train_from_command_line

    train_from_command_line(TrainOptions(**settings))
    return DONE


@click.command(cls=Examples, epilog="""
newsframe annotate archive/ --out tasks.json     # Label Studio; tasks.json.config.xml is its labelling configuration
newsframe annotate more.jsonl --labelled gold.jsonl --count 200 --out todo.csv
newsframe annotate --read todo.csv --out new-gold.jsonl
newsframe annotate --read export.json --annotator ada@example.org --out new-gold.jsonl
""")  # fmt: skip
@click.argument("inputs", nargs=-1, metavar="[TEXT | FILE | FOLDER | -]...")
@option("--out", type=PATH, required=True, help="File to write; it must not be there yet.")
@option("--read", type=PATH, metavar="FILE", help="Read labels back from this file into gold records.")
@option(
    "--format", "form", type=click.Choice(["auto", "label-studio", "csv", "jsonl"]), default="auto", show_default=True,
    help="Of the file to fill, or to read; auto goes by its name: .json is Label Studio.",
)  # fmt: skip
@option("--count", type=click.IntRange(1, 5000), default=100, show_default=True, help="Sentences to choose.")
@option(
    "--random-share", type=click.FloatRange(0, 1), default=0.2, show_default=True,
    help="Share of them drawn at random, from which rates can be estimated.",
)  # fmt: skip
@option("--labelled", type=PATH, metavar="GOLD", help="Gold records whose sentences are left out.")
@option(
    "--predictions/--no-predictions", default=True, show_default=True, envvar="NEWSFRAME_PREDICTIONS",
    help="Carry what the model suggests.",
)  # fmt: skip
@option("--seed", type=int, default=0, show_default=True, help="Of the random draw.")
@option("--split", is_flag=True, help="Take each JSON Lines record as a document, and segment it.")
@option(
    "--input-format", type=click.Choice(["auto", "text", "html", "jsonl"]), default="auto", show_default=True,
    help="What files and stdin hold; auto goes by the file's name, then by its first character.",
)  # fmt: skip
@option("--annotator", help="With --read: whose labels to keep where annotators differ, as the export names them.")
@option("--skip-bad", is_flag=True, help="With --read: write the good rows, and the bad to OUT.rejects.jsonl.")
@option("--codebook", "codebook_path", type=PATH, help="With --read: the codebook, instead of the model's.")
@option("--threads", type=click.IntRange(0), default=0, help="Threads of a run; 0 takes the cores there are.")
@model_options
@refusals
def annotate(
    inputs: tuple[str, ...], out: Path, read: Path | None, form: str, count: int, random_share: float,
    labelled: Path | None, predictions: bool, seed: int, split: bool, input_format: str, annotator: str | None,
    skip_bad: bool, codebook_path: Path | None, threads: int, model: Path | None, encoder: Path | None,
) -> int:  # fmt: skip
    """Export the sentences worth labelling next, and read the labels back.

    INPUT is what `classify` takes. Chosen are sentences that the model doubts, no two alike and from many documents,
    and a share at random; each says which, in `selected`. Label Studio tasks get their labelling configuration beside
    them. In CSV, write `yes` into `labelled` once a row is done; in JSON Lines, fill the axes that are null. --read
    checks every row against the codebook, and writes nothing while one is bad.
    """
    if bool(inputs) == (read is not None):
        raise click.UsageError("Give either something to choose from or --read.")
    from serving.annotation_forms import form_of

    chosen_form = None if form == "auto" else form
    if read is not None:
        return _read_annotations(read, out, chosen_form, annotator, skip_bad, codebook_path, model)
    chosen_form = chosen_form or form_of(out)
    if chosen_form is None:
        raise click.UsageError("--out: expected a name that ends in .json, .csv or .jsonl, or --format.")

    from model.artifact import find_artifact
    from model.errors import RecordError
    from model.labeller import Labeller
    from serving.annotate import candidates, check_new, forms, labelled_texts, write_new
    from serving.annotation_forms import check_names
    from serving.inputs import read_inputs
    from serving.selection import RANDOM, Selector

    check_new(out)
    selector = Selector(count, random_share, seed, labelled_texts(labelled) if labelled else frozenset())
    labeller = Labeller.load(find_artifact(model, encoder), threads)
    check_names(labeller.codebook)
    failed = False
    for item in candidates(labeller, read_inputs(inputs, input_format), split):
        if isinstance(item, RecordError):
            failed = True
            click.echo(str(item), err=True)
        else:
            selector.add(item)
    chosen = selector.choose()
    info = labeller.model_info
    name = f"{info['name']} {info['version']} {info['sha256'][:12]}"
    write_new(forms(chosen, labeller.codebook, chosen_form, predictions, name, out))
    at_random = sum(why == RANDOM for _, why in chosen)
    click.echo(
        f"{out}: {len(chosen) - at_random} uncertain and {at_random} random of {selector.seen} sentences, "
        f"{selector.known} of them labelled already", err=True,
    )  # fmt: skip
    return FAILED if failed else DONE


def _read_annotations(
    path: Path, out: Path, form: str | None, annotator: str | None, skip_bad: bool, codebook_path: Path | None,
    model: Path | None,
) -> int:  # fmt: skip
    from model.codebook import load_codebook
    from model.errors import join_problems
    from model.jsonl import dumps
    from model.weights import codebook_file
    from serving.annotate import check_new, write_new
    from serving.annotation_reading import gold_record, read_back, rejected, report

    codebook = load_codebook(codebook_path or codebook_file(model))
    rejects = out.with_name(out.name + ".rejects.jsonl")
    check_new(out, rejects)
    found = read_back(path, form, codebook, annotator)
    click.echo("\n".join(report(found, codebook)), err=True)
    if found.rejects:
        click.echo(join_problems([problem for problem, _ in found.rejects]), err=True)
    if found.rejects and not skip_bad:
        return FAILED
    files = {out: "".join(dumps(gold_record(sentence, codebook)) + "\n" for sentence in found.gold)}
    if found.rejects:
        files[rejects] = "".join(dumps(record) + "\n" for record in rejected(found))
    write_new(files)
    return DONE
