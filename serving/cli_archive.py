"""The commands on archives: score one into a data set, and report on it."""

from pathlib import Path
from typing import Any

import click

from serving.cli_options import DONE, FAILED, PATH, Examples, model_options, option, refusals


@click.command(cls=Examples, epilog="""
newsframe score articles.jsonl --out scored
newsframe score 2014/*.csv.gz 2015/ --out scored --text-field body --outlet-field publisher
newsframe score sentences.parquet --sentences --out scored
newsframe score crawl.warc.gz --out scored --format jsonl
newsframe score articles.jsonl --out scored --update         # only what is new since
newsframe score articles.jsonl --out scored --engine ray --ray-address auto
""")  # fmt: skip
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@option("--out", type=PATH, required=True, help="Folder to write; a run that was broken off goes on in it.")
@option("--sentences", is_flag=True, help="Each record is one sentence, labelled as it stands.")
@option(
    "--input-format",
    type=click.Choice(["auto", "jsonl", "json", "csv", "parquet", "text", "html", "warc", "ninjs"]),
    default="auto", show_default=True, help="What the inputs hold; auto tells by each file's name and beginning.",
)  # fmt: skip
@option("--text-field", default="text", show_default=True, help="Field of a record that holds the text.")
@option("--html-field", default="html", show_default=True, help="Field that holds a page instead of a text.")
@option("--id-field", default="id", show_default=True, help="Field that names a record.")
@option("--title-field", default="title", show_default=True, help="Field of the headline.")
@option("--outlet-field", default="outlet", show_default=True, help="Field of the outlet.")
@option("--url-field", default="url", show_default=True, help="Field of the address.")
@option("--published-at-field", default="published_at", show_default=True, help="Field of the time of publication.")
@option("--language-field", default="language", show_default=True, help="Field of the declared language.")
@option("--delimiter", default="", help="What parts the cells of a CSV file; found in its first line by default.")
@option("--encoding", default="utf-8", show_default=True, help="Of CSV, JSON Lines and plain text.")
@option(
    "--format", "output_format", type=click.Choice(["parquet", "jsonl", "ninjs"]), default="parquet",
    show_default=True, help="Of the sentences; ninjs gives news items with the labels as subjects.",
)  # fmt: skip
@option("--all-languages", is_flag=True, help="Label sentences in other languages than the model's too.")
@option("--fresh", is_flag=True, help="Remove what an earlier run left in --out, and begin anew.")
@option("--update", is_flag=True, help="Score what is new: new files, and new records at the end of old ones.")
@option(
    "--shard-size", type=click.IntRange(1), default=1000, show_default=True,
    help="Records that are committed together: what a crash can cost.",
)  # fmt: skip
@option(
    "--remember", type=click.IntRange(0), default=2_000_000, show_default=True,
    help="Sentences kept to recognise repeated ones, some 200 bytes each on disk.",
)  # fmt: skip
@option(
    "--workers", type=click.IntRange(0), default=0, help="Processes, each with the model; 0 takes the cores there are."
)
@option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True, help="Where to compute.")
@option("--ray-address", metavar="ADDRESS", help="A Ray cluster; by default one is started on this machine.")
@option("--quiet", is_flag=True, help="No progress and no summary.")
@model_options
@refusals
def score(inputs: tuple[str, ...], out: Path, quiet: bool, **settings: Any) -> int:
    """Score an archive: label every sentence of it into a data set.

    INPUT is a file, a folder or a glob: JSON Lines, CSV, Parquet, plain text, HTML, WARC or IPTC ninjs, also
    compressed. A record is a document, and is segmented, unless --sentences. Run the same command again after a
    crash: it goes on where it was, and gives what an unbroken run gives.

    Exit codes: 0 done, also if some records went to rejects.jsonl; 1 if the run could not begin or go on, or not one
    record could be read; 2 usage.
    """
    from serving.archive.formats import ReadOptions
    from serving.archive.options import ArchiveOptions
    from serving.archive.run import score_archive
    from serving.progress import ProgressDisplay, print_summary

    if settings["fresh"] and settings["update"]:
        raise click.UsageError("Give --fresh or --update, but not both.")
    if settings["ray_address"] and settings["engine"] != "ray":
        raise click.UsageError("--ray-address goes with --engine ray.")
    read = ReadOptions(**{name: settings.pop(name) for name in ReadOptions.__dataclass_fields__})
    options = ArchiveOptions(read=read, cluster=settings.pop("ray_address"), **settings)
    try:
        with ProgressDisplay(quiet) as display:
            result = score_archive(inputs, out, options, display.show)
    except KeyboardInterrupt:
        click.echo(f"{out}: stopped. Run the same command again to go on.", err=True)
        return FAILED
    for path in result.manifest["empty"]:
        click.echo(f"{path}: expected records, but found none. The file was passed over.", err=True)
    if result.was_complete and not quiet:
        click.echo(f"{out}: complete already; nothing was left to do.", err=True)
    if not quiet:
        print_summary(result)
    return DONE if result.counts["documents"] else FAILED


@click.command(cls=Examples, epilog="""
newsframe report scored                          # writes scored/report.html
newsframe report scored --to page.html
""")  # fmt: skip
@click.argument("folder", type=PATH, metavar="DIR")
@option("--to", type=PATH, help="File to write, instead of report.html in DIR.")
@refusals
def report(folder: Path, to: Path | None) -> int:
    """Report on a scored archive: one page, with framing by outlet and over time, that needs no network."""
    from serving.archive.report import write_report

    click.echo(write_report(folder, to))
    return DONE
