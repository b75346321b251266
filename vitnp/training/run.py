"""A run while it trains: what it trains, on what, for which objective, and with whom."""

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np

from vitnp.data import Dataset
from vitnp.model import Model
from vitnp.parallel.ranks import Ranks, first
from vitnp.runs.recipe import Recipe


@dataclass(frozen=True)
class Run:
    """What stays the same while a run trains; its models are views of the state's buffers."""

    recipe: Recipe
    dataset: Dataset
    training: np.ndarray        # which of the training images are trained on
    validation: np.ndarray      # and which are held out
    trained: Model
    averaged: Model             # with the moving average of the weights, if there is one
    objective: ModuleType
    folder: Path | None = None
    world: Ranks | None = None  # the processes that train together, of which the first one writes

    @property
    def steps(self):
        """The number of steps in an epoch."""
        return math.ceil(len(self.training) / self.recipe.batch_size)

    @property
    def compute_gradients(self):
        """The objective's function that writes gradients, with all ranks where there are some."""
        compute = self.objective.compute_gradients
        return partial(compute, add_up=self.world.add_in_turn) if self.world else compute

    def first(self, write, *arguments):
        """Return write(*arguments), which the first process calls while the others wait."""
        return first(self.world, write, *arguments)
