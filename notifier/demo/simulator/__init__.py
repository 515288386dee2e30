"""A stand-in for the videos API: every task id exists, and every kind of trouble can be had on order."""

from notifier.demo.simulator.api import Polled, create_app
from notifier.demo.simulator.rule import AtRandom, During, Every, Honest, InOrder, Rule, parse_misbehaviour
from notifier.demo.simulator.step import Answer, Step
from notifier.demo.simulator.story import Story
from notifier.demo.simulator.studio import Studio

__all__ = [
    "Answer",
    "AtRandom",
    "During",
    "Every",
    "Honest",
    "InOrder",
    "Polled",
    "Rule",
    "Step",
    "Story",
    "Studio",
    "create_app",
    "parse_misbehaviour",
]
