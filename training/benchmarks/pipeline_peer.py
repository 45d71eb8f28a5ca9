"""Label sentences with `datasets.map` and a Hugging Face pipeline, and print the seconds that the map takes.

    python -m training.benchmarks.pipeline_peer sentences.jsonl --encoder DIR --labels 13 --batch 32

What one would write without this program, made easy: one classification head on the same encoder, with as many labels;
no spans, no evidence, no language, nothing written. Importing, loading and a first batch are not counted.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path


def seconds_to_map(sentences: Path, encoder: Path, labels: int, batch: int, max_tokens: int) -> float:
    """Time the map over a JSON Lines file of sentences.

    Args:
        labels: Labels of the classification head.
        batch: Sentences that the pipeline takes at once; 1 maps sentence by sentence.
    """
    import datasets
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    datasets.disable_progress_bars()
    torch.manual_seed(7)  # of the head, whose weights do not matter to the time
    model = AutoModelForSequenceClassification.from_pretrained(
        encoder, num_labels=labels, problem_type="multi_label_classification"
    )
    tokenizer = AutoTokenizer.from_pretrained(encoder, model_max_length=max_tokens)
    label = pipeline("text-classification", model=model, tokenizer=tokenizer, top_k=None)
    with tempfile.TemporaryDirectory() as cache:
        data = datasets.load_dataset("json", data_files=str(sentences), split="train", cache_dir=cache)

        def one(row: dict[str, str]) -> dict[str, object]:
            return {"scores": label(row["text"], truncation=True)}

        def many(rows: dict[str, list[str]]) -> dict[str, object]:
            return {"scores": label(rows["text"], truncation=True, batch_size=batch)}

        label(data[:batch]["text"], truncation=True, batch_size=batch)
        began = time.perf_counter()
        mapped = data.map(one) if batch == 1 else data.map(many, batched=True)
        seconds = time.perf_counter() - began
        assert len(mapped[0]["scores"]) > 0
        return seconds


def main() -> None:
    """Print the seconds as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sentences", type=Path)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--labels", type=int, required=True)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--max-tokens", type=int, default=256)
    arguments = parser.parse_args()
    seconds = seconds_to_map(
        arguments.sentences, arguments.encoder, arguments.labels, arguments.batch, arguments.max_tokens
    )
    json.dump({"seconds": seconds}, sys.stdout)


if __name__ == "__main__":
    main()
