"""Settings of training."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from engine.core.section import Section, Share


class LearnSettings(Section):
    """How a version of the model is trained from what people did."""

    renamed: ClassVar[Mapping[str, str]] = {
        "rate": "learning_rate",
        "taste_epochs": "tower_epochs",
        "positive_worth": "positive_utility",
        "negative_worth": "negative_utility",
    }

    fields: Mapping[str, Literal["category", "number"]] = Field(default_factory=dict)
    """Payload fields that are features of the ranking."""
    min_rating: float = 0.0
    """A rating below this many stars does not speak for an item."""
    held_out: float = Field(default=0.1, gt=0, lt=0.5)
    """The share of the events, the youngest, that a new version is judged on."""
    epochs: int = Field(default=6, gt=0)
    """The most passes over the training rows; it stops earlier when it gets no better."""
    tower_epochs: int = Field(default=0, ge=0)
    """The most passes over the histories for the learned query vector, 12 say; 0 leaves it out."""
    steps: int = Field(default=27, gt=0)
    """The newest so many steps of each person become training rows."""
    first_steps: int = Field(default=3, ge=0)
    """The first so many become training rows too: they teach what to show to people who have just come."""
    width: int = Field(default=64, gt=0, multiple_of=4)
    """Of the network."""
    learning_rate: float = Field(default=2e-3, gt=0)
    """The highest learning rate."""
    batch: int = Field(default=64, gt=0)
    """Training rows of a step."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """How often a part of the network is left out in training."""
    id_dropout: float = Field(default=0.5, ge=0, lt=1)
    """How often an item's id is left out in training, so that its contents have to do."""
    positive_utility: float = 1.0
    """What a click, like, purchase or rating is worth to the order of a list, times its probability."""
    negative_utility: float = -1.0
    """The same of a skip or dislike."""
    new_share: Share = 0.0
    """The part of a list's positions that items which nobody had acted on get at least, while there are any."""
    compiled: bool = True
    """Whether a version is written for ONNX Runtime too, which serves it in half the time; it takes seconds."""
    private: bool = False
    """Whether a version tells little of any one person: DP-SGD, and nothing that is counted over people. It needs
    triveni[private], and ranks worse."""
    private_epsilon: float = Field(default=8.0, gt=0)
    """The most ε that a training may spend."""
    private_delta: float = Field(default=1e-5, gt=0, lt=1)
    """Its δ; below one in the number of people."""
    private_norm: float = Field(default=1.0, gt=0)
    """To which the gradient of a person is cut."""
    private_epochs: int = Field(default=30, gt=0)
    """How often a private training sees each person, on average."""
    private_people: int = Field(default=128, gt=0)
    """People of a step, on average. More need less noise, and more time."""
    seed: int = Field(default=0, ge=0)
    """Makes a training repeatable."""
