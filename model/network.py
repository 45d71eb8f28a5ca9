"""The torch model: one encoder pass, and a head for each kind of axis.

Imported by training alone; serving runs the exported graph.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModel, PreTrainedModel
from transformers.utils import logging

from model.codebook import Codebook
from model.outputs import OUTPUT_NAMES
from model.tags import tag_count


@dataclass(frozen=True)
class HeadSizes:
    """Widths of the three heads; a width of 0 leaves the head out.

    Attributes:
        exclusive: Columns of the sentence head that belong to one axis and of which exactly one holds.
    """

    tags: int
    sentence_labels: int
    target_labels: int
    exclusive: tuple[slice, ...] = ()

    @classmethod
    def for_codebook(cls, codebook: Codebook) -> "HeadSizes":
        """Heads as a codebook needs them."""
        mention, target = codebook.mention_axis, codebook.target_axis
        return cls(
            tags=tag_count(len(mention.labels)) if mention else 0,
            sentence_labels=len(codebook.sentence_labels),
            target_labels=len(target.labels) if target else 0,
            exclusive=tuple(columns for axis, columns in codebook.sentence_columns if axis.exclusive),
        )


class SentenceHead(nn.Module):
    """Multi-label head whose logit is a sum over tokens, so that the words behind it can be named.

    Every label attends to the tokens on its own: logit = bias + Σ_t attention_t · score_t. The summands are
    the evidence that a label is shown with, exactly and from the same pass. Function words and special tokens get
    no attention: what the encoder would store there must be read off words that mean something to a reader.
    """

    def __init__(self, width: int, labels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, width if labels else 0)
        self.attention = nn.Linear(width if labels else 0, labels)
        self.score = nn.Linear(width if labels else 0, labels)
        self.bias = nn.Parameter(torch.zeros(labels))

    def forward(self, states: Tensor, mask: Tensor | None, content: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (B, K) and the tokens' parts of them (B, L, K).

        Args:
            states: Shape (B, L, H).
            mask: 1 for tokens, 0 for padding, shape (B, L); None where there is no padding.
            content: True for tokens that may be evidence, shape (B, L).
        """
        hidden = functional.gelu(self.hidden(states))  # (B, L, H)
        weights = self.attention(hidden)  # (B, L, K)
        weights = weights.masked_fill(~content[:, :, None], -1e4)
        if mask is not None:  # padding lies below function words, so that a sentence of nothing else still has a mean
            weights = weights.masked_fill(mask[:, :, None] == 0, -1e9)
        parts = weights.transpose(1, 2).softmax(dim=2) * self.score(hidden).transpose(1, 2)  # (B, K, L)
        # A product with ones and no sum: the engine's sum takes another order where its rows lie otherwise in memory,
        # and a sentence's logits would hang, in their last bits, on what it is labelled with.
        logits = (parts @ torch.ones(parts.shape[2], 1, dtype=parts.dtype)).squeeze(2)  # (B, K)
        return logits + self.bias, parts.transpose(1, 2)


class Network(nn.Module):
    """Encoder and heads. Every output exists, of width 0 where the codebook has no such axis."""

    content: Tensor

    def __init__(
        self, encoder: PreTrainedModel, sizes: HeadSizes, dropout: float = 0.1, without_content: Sequence[int] = ()
    ) -> None:
        """Put new heads on an encoder.

        Args:
            dropout: Share of states dropped before the heads while training.
            without_content: Ids of tokens that cannot be evidence: function words and special tokens.
        """
        super().__init__()
        width = encoder.config.hidden_size
        self.encoder = encoder
        self.sizes = sizes
        self.dropout = nn.Dropout(dropout)
        self.mention_head = nn.Linear(width, sizes.tags)
        self.sentence_head = SentenceHead(width, sizes.sentence_labels)
        self.target_head = nn.Linear(width, sizes.target_labels)
        content = torch.ones(encoder.config.vocab_size, dtype=torch.bool)
        content[list(without_content)] = False
        self.register_buffer("content", content, persistent=False)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Run one pass.

        Args:
            input_ids: Token ids, shape (B, L).
            attention_mask: 1 for tokens, 0 for padding, shape (B, L); None where there is no padding.

        Returns:
            In the order of `OUTPUT_NAMES`: tag logits (B, L, T), sentence logits (B, K), the tokens' parts of
            them (B, L, K), and target logits a token (B, L, S).
        """
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state  # (B, L, H)
        states = self.dropout(states)
        sentence_logits, parts = self.sentence_head(states, attention_mask, self.content[input_ids])
        outputs = (self.mention_head(states), sentence_logits, parts, self.target_head(states))
        assert len(outputs) == len(OUTPUT_NAMES)
        return outputs


def load_network(
    encoder_folder: Path, codebook: Codebook, dropout: float = 0.1, without_content: Sequence[int] = ()
) -> Network:
    """Build the network on a base encoder, with new heads for the codebook.

    Args:
        encoder_folder: A Hugging Face model folder (config.json, model.safetensors).
        dropout, without_content: As in `Network`.
    """
    # It reports the pooler, which is left out on purpose, and draws a bar for a load of milliseconds.
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    # Eager attention exports to plain operators, and with dropout off it equals the fused form.
    encoder = AutoModel.from_pretrained(
        str(encoder_folder), local_files_only=True, add_pooling_layer=False, attn_implementation="eager"
    )
    with warnings.catch_warnings():  # a head that the codebook does not need has no weights, and torch says so
        warnings.filterwarnings("ignore", message="Initializing zero-element tensors")
        return Network(encoder, HeadSizes.for_codebook(codebook), dropout, without_content)
