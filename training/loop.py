"""The training loop: a generator that yields after every step and neither prints nor saves."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn
from torch.nn import functional

from model.network import Network
from training.compute_type import forward_pass
from training.config import TrainingConfig
from training.features import IGNORED, Batch, TaughtBatch, batches
from training.schedule import rise_and_fall
from training.teacher import Lesson


@dataclass(frozen=True)
class Step:
    """What a step of training did.

    Attributes:
        epoch: From 1.
        step, steps: Number of this step, and of all if the run does not stop early.
        loss: Of this step.
        score: Development score at the end of an epoch, else None.
        is_best: Whether that score is the best so far.
    """

    epoch: int
    step: int
    steps: int
    loss: float
    score: float | None = None
    is_best: bool = False


def losses(network: Network, batch: Batch, config: TrainingConfig, positive_weights: Tensor) -> Tensor:
    """Weighted sum of the heads' losses on a batch, and of a teacher's; a head without gold adds nothing."""
    tag_logits, sentence_logits, _, target_logits = network(batch.input_ids, batch.attention_mask)
    tag_logits, target_logits = tag_logits.flatten(0, 1), target_logits.flatten(0, 1)  # (B * L, T), (B * L, S)
    total: Tensor = sentence_logits.new_zeros(())
    if tag_logits.shape[-1] and (batch.tags != IGNORED).any():
        total = total + config.mention_weight * functional.cross_entropy(
            tag_logits, batch.tags.flatten(), ignore_index=IGNORED
        )
    if (batch.sentence_labels != IGNORED).any():
        wanted = batch.sentence_labels.float().masked_fill(batch.sentence_labels == IGNORED, torch.nan)
        total = total + config.sentence_weight * _sentence_loss(
            sentence_logits, wanted, network.sizes.exclusive, positive_weights
        )
    if len(batch.target_labels) and target_logits.shape[-1]:
        averaged = batch.target_weights @ target_logits  # (N, S)
        total = total + config.target_weight * functional.cross_entropy(averaged, batch.target_labels)
    if batch.twins and sentence_logits.shape[-1]:
        logits, others = sentence_logits.chunk(2)
        difference = _difference(logits, others, network.sizes.exclusive)
        total = total + config.consistency_weight * config.sentence_weight * difference
    if taught := batch.taught:
        total = total + config.teacher_weight * _teacher_loss(
            network, taught, config, tag_logits, sentence_logits, target_logits
        )
    return total


def _sentence_loss(
    logits: Tensor, wanted: Tensor, exclusive: Sequence[slice], positive_weights: Tensor | None = None
) -> Tensor:
    """Mean loss of the sentence head.

    Args:
        logits: Shape (B, K).
        wanted: Probability of each label, shape (B, K), NaN where nothing is known.
        exclusive: Columns of which exactly one holds.
    """
    known = ~wanted.isnan()
    wanted = wanted.nan_to_num()
    loss = functional.binary_cross_entropy_with_logits(logits, wanted, pos_weight=positive_weights, reduction="none")
    for columns in exclusive:
        # The same scale as the binary losses: the cross-entropy of the axis is spread over its columns.
        entropy = functional.cross_entropy(logits[:, columns], wanted[:, columns], reduction="none")  # (B,)
        loss[:, columns] = entropy[:, None]
    return loss[known].mean()


def _difference(logits: Tensor, others: Tensor, exclusive: Sequence[slice]) -> Tensor:
    """Mean over the labels of the symmetric Kullback-Leibler divergence between two sayings of the sentence head.

    Wu et al. 2021, "R-Drop: Regularized Dropout for Neural Networks".

    Args:
        logits, others: Shape (B, K).
        exclusive: Columns of which exactly one holds.
    """
    # KL(p, q) + KL(q, p) = Σ (p - q) (log p - log q), and what logits and log-probabilities differ by cancels.
    apart = (logits.sigmoid() - others.sigmoid()) * (logits - others)  # (B, K)
    for columns in exclusive:
        first, second = logits[:, columns], others[:, columns]
        apart[:, columns] = (first.softmax(dim=1) - second.softmax(dim=1)) * (first - second)
    return apart.mean() / 2


def _teacher_loss(
    network: Network,
    taught: TaughtBatch,
    config: TrainingConfig,
    tag_logits: Tensor,
    sentence_logits: Tensor,
    target_logits: Tensor,
) -> Tensor:
    """Cross-entropy against the teacher's probabilities, with the heads' weights; logits as in `losses`."""
    total = sentence_logits.new_zeros(())
    if tag_logits.shape[-1]:
        tags = taught.tags.flatten(0, 1)  # (B * L, T)
        said = tags.sum(dim=1) > 0
        if said.any():
            total = total + config.mention_weight * functional.cross_entropy(tag_logits[said], tags[said])
    if sentence_logits.shape[-1]:
        loss = _sentence_loss(sentence_logits, taught.sentence, network.sizes.exclusive)
        total = total + config.sentence_weight * loss
    if len(taught.targets):
        averaged = taught.target_weights @ target_logits  # (M, S)
        total = total + config.target_weight * functional.cross_entropy(averaged, taught.targets)
    return total


def positive_weights(dataset: Dataset, power: float) -> Tensor:
    """Weight of the positives of each sentence label, shape (K,): (negatives / positives) ** power."""
    labels = np.array(dataset["sentence_labels"], dtype=np.float64).reshape(len(dataset), -1)  # (N, K)
    positives = (labels == 1).sum(axis=0)
    negatives = (labels == 0).sum(axis=0)
    return torch.tensor(np.maximum(negatives, 1) / np.maximum(positives, 1), dtype=torch.float32) ** power


def optimizer_for(network: Network, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW whose learning rate falls from the top layer to the bottom one."""
    layers = network.encoder.config.num_hidden_layers
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if not name.startswith("encoder."):
            rate = config.head_learning_rate
        elif ".layer." in name:
            depth = layers - 1 - int(name.split(".layer.")[1].split(".")[0])
            rate = config.learning_rate * config.layer_decay**depth
        else:
            # Embeddings stand below the lowest layer; frozen ones keep the release small.
            parameter.requires_grad = config.train_embeddings
            rate = config.learning_rate * config.layer_decay**layers
        if parameter.requires_grad:
            decay = config.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
    return torch.optim.AdamW(
        [{"params": parameters, "lr": rate, "weight_decay": decay} for (rate, decay), parameters in groups.items()]
    )


def train_steps(
    network: Network,
    epoch_data: Callable[[int], Dataset],
    evaluate: Callable[[], float],
    config: TrainingConfig,
    lessons: Mapping[tuple[int, ...], Lesson] | None = None,
) -> Iterator[Step]:
    """Train in place, step by step; the caller prints, saves the best, and stops when it likes.

    Args:
        epoch_data: Gives the data of an epoch, from 1.
        evaluate: Gives the development score of the network as it is, higher is better.
        lessons: What a teacher says of sentences, by their token ids.
    """
    optimizer = optimizer_for(network, config)
    first = epoch_data(1)
    per_epoch = -(-len(first) // config.batch_size)
    steps = per_epoch * config.epochs
    schedule = rise_and_fall(optimizer, max(1, round(config.warmup * steps)), steps)
    weights = positive_weights(first, config.positive_weight_power)
    best = -np.inf
    step = stale = 0
    for epoch in range(1, config.epochs + 1):
        network.train()
        data = first if epoch == 1 else epoch_data(epoch)
        for batch in batches(data, config.batch_size, np.random.default_rng((config.seed, epoch)), lessons):
            optimizer.zero_grad(set_to_none=True)
            with forward_pass(config.bfloat16):
                loss = losses(network, batch, config, weights)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            step += 1
            yield Step(epoch, step, steps, float(loss.detach()))
        network.eval()
        score = evaluate()
        is_best = score > best
        best, stale = max(best, score), 0 if is_best else stale + 1
        yield Step(epoch, step, steps, float(loss.detach()), score, is_best)
        if stale >= config.patience:
            return
