"""The playbook: what past studies taught, and from that what a new study is advised to try first."""

from zeroin.playbook.book import Playbook, as_data, as_lessons, shipped
from zeroin.playbook.learning import lesson_of
from zeroin.playbook.lesson import Lesson
from zeroin.playbook.scenario import scenario_of
from zeroin.playbook.use import named, playbook_of, teach

__all__ = [
    "Lesson",
    "Playbook",
    "as_data",
    "as_lessons",
    "lesson_of",
    "named",
    "playbook_of",
    "scenario_of",
    "shipped",
    "teach",
]
