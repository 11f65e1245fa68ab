"""The interfaces whose time is kept, as interfaces.yaml says them: read and checked when operations starts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from servicekit.domain import exact
from servicekit.facts import EventMeta
from services.operations.domain.sla import Meaning, Sla, Step, Tier
from services.operations.telling import BY_TYPE

TYPES: Mapping[str, Any] = {message.DESCRIPTOR.full_name: message.DESCRIPTOR for message in BY_TYPE}
ENVELOPE: Mapping[str, Callable[[EventMeta], str]] = {
    "envelope.order_key": lambda meta: meta.order_key,
    "envelope.document_number": lambda meta: meta.business_key.document_number if meta.business_key else "",
}


class InterfacesWrong(ValueError):
    """The file of interfaces can't be: says where and why."""


class StepWords(BaseModel):
    """A step as the file says it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fact: str
    work: str
    when: dict[str, str | list[str]] = {}
    above_zero: str = ""


class InterfaceWords(BaseModel):
    """An interface as the file says it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    interface_id: str = Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")
    name: str = Field(min_length=1)
    owner: str = Field(min_length=1)
    sla_tier: Tier
    limit_seconds: int = Field(gt=0)
    debounce_seconds: int = Field(ge=0)
    from_step: StepWords
    to_step: StepWords
    ended_by: list[StepWords] = []

    def steps(self) -> list[tuple[Meaning, StepWords]]:
        ended = [(Meaning.ENDED, step) for step in self.ended_by]
        return [(Meaning.START, self.from_step), (Meaning.REACHED, self.to_step), *ended]


class FileWords(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    interfaces: list[InterfaceWords]


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface, the same for every plant."""

    interface_id: str
    name: str
    owner: str
    sla: Sla
    from_step: str
    to_step: str


@dataclass(frozen=True, slots=True)
class StepRule:
    """How a fact of one type is recognised as an interface's step."""

    interface_id: str
    meaning: Meaning
    work: Callable[[Any, EventMeta], str]
    when: tuple[tuple[Callable[[Any], str], frozenset[str]], ...]
    amount: Callable[[Any], str] | None

    def step_of(self, content: Any, meta: EventMeta) -> Step | None:
        """The step that a fact is; None: it is not what is waited for, or says of no work."""
        if any(read(content) not in values for read, values in self.when):
            return None
        if self.amount is not None and exact(self.amount(content) or "0") <= 0:
            return None
        work_id = self.work(content, meta)
        if not work_id:
            return None
        return Step(self.interface_id, meta.plant_id, work_id, meta.order_key, self.meaning, meta.record_time)


class Interfaces:
    """All interfaces in order of their ids, and the steps that facts are to them."""

    def __init__(self, words: Iterable[InterfaceWords]) -> None:
        told = sorted(words, key=lambda one: one.interface_id)
        self.all = [_interface(one) for one in told]
        self._rules: dict[str, list[StepRule]] = defaultdict(list)
        if len({one.interface_id for one in told}) < len(told):
            raise InterfacesWrong("an interface_id is there twice")
        for one in told:
            facts = [step.fact for _, step in one.steps()]
            if len(set(facts)) < len(facts):
                raise InterfacesWrong(f"{one.interface_id}: a fact is one step of an interface, not two")
            for meaning, step in one.steps():
                self._rules[step.fact].append(_rule(one.interface_id, meaning, step))

    @classmethod
    def load(cls, path: Path) -> Interfaces:
        """Raises InterfacesWrong."""
        try:
            told = FileWords.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
            return cls(told.interfaces)
        except (OSError, yaml.YAMLError, ValidationError, InterfacesWrong) as wrong:
            raise InterfacesWrong(f"{path}: {wrong}") from wrong

    def steps_of(self, content: Any, meta: EventMeta) -> tuple[Step, ...]:
        """What a fact is to the clocks of interfaces: nothing, for most."""
        rules = self._rules.get(meta.fact_type, ())
        return tuple(step for rule in rules if (step := rule.step_of(content, meta)) is not None)


def _interface(words: InterfaceWords) -> Interface:
    limit, debounce = timedelta(seconds=words.limit_seconds), timedelta(seconds=words.debounce_seconds)
    sla = Sla(words.sla_tier, limit, debounce)
    return Interface(words.interface_id, words.name, words.owner, sla, words.from_step.fact, words.to_step.fact)


def _rule(interface_id: str, meaning: Meaning, words: StepWords) -> StepRule:
    content = TYPES.get(words.fact)
    if content is None:
        raise InterfacesWrong(f"{interface_id}: operations tells of no fact {words.fact}")
    when = tuple(
        (_reader(content, path), _values(content, path, [said] if isinstance(said, str) else said))
        for path, said in words.when.items()
    )
    amount = _reader(content, f"{words.above_zero}.value") if words.above_zero else None
    return StepRule(interface_id, meaning, _work(content, words.work), when, amount)


def _work(content: Descriptor, path: str) -> Callable[[Any, EventMeta], str]:
    if (of_envelope := ENVELOPE.get(path)) is not None:
        return lambda _, meta: of_envelope(meta)
    read = _reader(content, path)
    return lambda said, _: read(said)


def _field(content: Descriptor, path: str) -> FieldDescriptor:
    """The text or enum field at the end of a path of fields. Raises InterfacesWrong."""
    *outer, last = path.split(".")
    at: Descriptor | None = content
    for name in outer:
        step = at.fields_by_name.get(name) if at is not None else None
        at = step.message_type if step is not None else None
    field = at.fields_by_name.get(last) if at is not None else None
    if field is None or field.is_repeated or field.type not in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_ENUM):
        raise InterfacesWrong(f"{content.full_name} has no text or enum {path}")
    return field


def _reader(content: Descriptor, path: str) -> Callable[[Any], str]:
    """Reads a field as text, an enum by name; one that we do not know yet as its number."""
    field, names = _field(content, path), path.split(".")
    by_number = field.enum_type.values_by_number if field.enum_type is not None else {}

    def read(said: Any) -> str:
        for name in names:
            said = getattr(said, name)
        return by_number[said].name if said in by_number else str(said)

    return read


def _values(content: Descriptor, path: str, said: list[str]) -> frozenset[str]:
    kinds = _field(content, path).enum_type
    unknown = [value for value in said if kinds is not None and value not in kinds.values_by_name]
    if unknown:
        raise InterfacesWrong(f"{content.full_name}: {path} is never {', '.join(unknown)}")
    return frozenset(said)
