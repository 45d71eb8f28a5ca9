"""The learning rate over a run."""

import torch


def rise_and_fall(optimizer: torch.optim.Optimizer, warmup: int, steps: int) -> torch.optim.lr_scheduler.LambdaLR:
    """Let every learning rate rise evenly for `warmup` steps and then fall evenly, to 0 after all `steps`."""
    return torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda n: min((n + 1) / warmup, max(0.0, (steps - n) / max(1, steps - warmup)))
    )
