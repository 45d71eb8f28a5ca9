"""Lower layers that stay as they are: run once a sentence, without dropout, and remembered."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from model.errors import ConfigError
from model.tokenization import pad


@contextmanager
def frozen_layers(encoder: PreTrainedModel, count: int) -> Iterator[None]:
    """Within, the encoder runs and trains its upper layers alone, which then are named from 0.

    What the lower ones make of a sentence is kept until the end, 4 bytes for each number of each token.

    Args:
        count: Layers, from the lowest, that stay as they are, as do the embeddings below them. 0 changes nothing.

    Raises:
        ConfigError: The encoder has no more layers than that.
    """
    if not count:
        yield
        return
    layers, embeddings, depth = encoder.encoder.layer, encoder.embeddings, encoder.config.num_hidden_layers
    if count >= depth:
        raise ConfigError(
            f"frozen_layers: expected fewer than the {depth} layers of the encoder, but found {count}. Lower the value."
        )
    encoder.embeddings = _RememberedStates(_lower_part(encoder, count))
    encoder.encoder.layer = layers[count:]
    encoder.config.num_hidden_layers = depth - count
    try:
        yield
    finally:
        encoder.embeddings, encoder.encoder.layer, encoder.config.num_hidden_layers = embeddings, layers, depth


def _lower_part(encoder: PreTrainedModel, count: int) -> PreTrainedModel:
    """A copy of the encoder that ends below layer `count`."""
    config = copy.deepcopy(encoder.config)
    config.num_hidden_layers = count
    part = type(encoder)(config, add_pooling_layer=False)
    found = part.load_state_dict(encoder.state_dict(), strict=False)
    assert not found.missing_keys
    return part.eval()


class _RememberedStates(nn.Module):
    """Takes the place of an encoder's embeddings, and gives the states above its lower layers."""

    def __init__(self, lower: PreTrainedModel) -> None:
        super().__init__()
        self._lower = [lower]  # in a list, torch does not see its parameters: they neither train nor are saved
        self._states: dict[tuple[int, ...], Tensor] = {}  # (L, H) of each sentence, by its token ids

    def forward(self, input_ids: Tensor, **_: Any) -> Tensor:
        """States of a padded batch, shape (B, L, H); zeros on padding."""
        [lower] = self._lower
        # `pad` fills with zeros, and a sentence ends in its special token, which is none.
        lengths = [int(row.nonzero().max()) + 1 for row in input_ids]
        rows = [tuple(row[:length].tolist()) for row, length in zip(input_ids, lengths, strict=True)]
        if new := list({row for row in rows if row not in self._states}):
            ids, mask = (torch.from_numpy(array) for array in pad(new))
            with torch.no_grad():
                states = lower(input_ids=ids, attention_mask=mask).last_hidden_state
            self._states |= {row: states[n, : len(row)].clone() for n, row in enumerate(new)}
        found = torch.zeros(*input_ids.shape, lower.config.hidden_size)
        for n, row in enumerate(rows):
            found[n, : len(row)] = self._states[row]
        return found
