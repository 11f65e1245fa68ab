"""Every contract keeps the house's rules, by its descriptors."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FileDescriptor, MethodDescriptor

from isthmus.operations.v1.lane_service_pb2 import VerifyAuditRequest
from servicekit.errors import FieldInvalid, check_form

PROTOS = Path("protos/isthmus")
FILES = sorted(PROTOS.rglob("*.proto"))
READS = ("Get", "List", "Find", "Verify", "Watch", "Try")


def descriptor(path: Path) -> FileDescriptor:
    module = str(path.relative_to("protos").with_suffix("")).replace("/", ".") + "_pb2"
    found: FileDescriptor = importlib.import_module(module).DESCRIPTOR
    return found


def methods() -> Iterator[MethodDescriptor]:
    for path in FILES:
        for service in descriptor(path).services_by_name.values():
            yield from service.methods


def messages() -> Iterator[Descriptor]:
    for path in FILES:
        yield from descriptor(path).message_types_by_name.values()


def enums() -> Iterator[EnumDescriptor]:
    for path in FILES:
        yield from descriptor(path).enum_types_by_name.values()


def documents_of(method: MethodDescriptor) -> tuple[Descriptor, Descriptor]:
    """What one document says and how it is answered: the request itself, or each of the many that a stream's message holds."""
    if not method.client_streaming:
        return method.input_type, method.output_type
    requests, outcomes = method.input_type.fields[0], method.output_type.fields[0]
    assert (requests.name, outcomes.name) == ("requests", "outcomes"), method.full_name
    assert requests.is_repeated, method.full_name
    assert outcomes.is_repeated, method.full_name
    answers = outcomes.message_type.fields_by_name
    assert answers["refusal"].message_type.full_name == "google.rpc.Status", method.full_name
    return requests.message_type, answers["response"].message_type


def test_every_mutating_request_carries_a_business_key_and_says_whether_it_was_replayed() -> None:
    for method in methods():
        if not method.name.startswith(READS):
            said, answered = documents_of(method)
            key = said.fields_by_name.get("business_key")
            assert key is not None, method.full_name
            assert key.number == 1, method.full_name
            assert "replayed" in answered.fields_by_name, method.full_name


def test_a_stream_of_documents_is_answered_message_by_message() -> None:
    streams = [method for method in methods() if method.client_streaming or method.server_streaming]
    assert streams
    for method in streams:
        assert method.client_streaming, method.full_name
        assert method.server_streaming, method.full_name


def test_every_list_is_paged() -> None:
    for method in methods():
        if method.name.startswith(("List", "Find")):
            assert {"page_size", "page_token"} <= set(method.input_type.fields_by_name), method.full_name
            assert method.output_type.fields_by_name["next_page_token"].number == 2, method.full_name
            assert method.output_type.fields[0].is_repeated, method.full_name


def test_every_method_has_a_request_and_a_response_of_its_own() -> None:
    for method in methods():
        assert method.input_type.name == f"{method.name}Request"
        assert method.output_type.name == f"{method.name}Response"


def test_every_enum_begins_unspecified() -> None:
    for enum in enums():
        assert enum.values[0].name.endswith("_UNSPECIFIED"), enum.full_name


@pytest.mark.parametrize("kind", ["TYPE_FLOAT", "TYPE_DOUBLE", "TYPE_UINT32", "TYPE_UINT64"])
def test_no_field_is_a_float_or_unsigned(kind: str) -> None:
    from google.protobuf.descriptor import FieldDescriptor

    for message in messages():
        for field in message.fields:
            assert field.type != getattr(FieldDescriptor, kind), field.full_name


def reasons() -> dict[str, set[str]]:
    """Reasons by errors file."""
    found = {}
    for path in PROTOS.rglob("*_errors.proto"):
        prefix = next(iter(descriptor(path).enum_types_by_name.values()))
        head = prefix.values[0].name.removesuffix("UNSPECIFIED")
        found[path.parts[2]] = {value.name.removeprefix(head) for value in prefix.values[1:]}
    return found


SERVICES = {"masterdata": "master_data", "edge": "edge_bridge"}


@pytest.mark.parametrize("package", sorted(reasons()))
def test_every_reason_of_a_contract_is_raised_in_its_service_and_the_reverse(package: str) -> None:
    folder = Path("libs/servicekit") if package == "common" else Path("services") / SERVICES.get(package, package)
    code = "\n".join(path.read_text() for path in folder.rglob("*.py"))
    raised = set(re.findall(r'reason, kind = "([A-Z_]+)"', code)) | set(re.findall(r'reason="([A-Z_]+)"', code))
    raised |= {"WEBHOOK_SIGNATURE_INVALID"} if package == "gateway" and "WEBHOOK_SIGNATURE_INVALID" in code else set()
    assert raised == reasons()[package]


def test_every_error_file_says_what_each_reason_means() -> None:
    for path in PROTOS.rglob("*_errors.proto"):
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines):
            if re.match(r"\s+[A-Z_]+ = [1-9]", line):
                assert lines[number - 1].strip().startswith("//"), f"{path}: {line.strip()}"


def test_our_part_of_the_rule_language_is_upstreams() -> None:
    """The engine carries upstream's descriptor: names and numbers that we use are the same there."""
    from google.protobuf import descriptor_pb2
    from protovalidate._gen.buf.validate import validate_pb as engine

    source = Path(engine.__file__).read_text()
    begin = source.index("b'", source.index("_DESC = file_desc("))
    literal = source[begin : source.index("\n", begin)].rstrip(",")
    raw = literal[2:-1].encode("latin-1").decode("unicode_escape").encode("latin-1")
    theirs = {m.name: m for m in descriptor_pb2.FileDescriptorProto.FromString(raw).message_type}
    ours = importlib.import_module("buf.validate.validate_pb2").DESCRIPTOR
    for name, message in ours.message_types_by_name.items():
        numbers = {field.name: (field.number, field.type) for field in theirs[name].field}
        for field in message.fields:
            assert numbers[field.name] == (field.number, field.type), f"{name}.{field.name}"


@pytest.mark.parametrize(
    ("said", "is_whole"), [({}, True), ({"known_entry_number": 3}, False), ({"known_chain_hash": "0" * 64}, True)]
)
def test_a_rule_over_several_fields_is_asked(said: dict[str, Any], is_whole: bool) -> None:
    """An entry without its hash would check nothing, and say that the chain holds."""
    request = VerifyAuditRequest(**said)
    if is_whole:
        check_form(request)
        return
    with pytest.raises(FieldInvalid) as refused:
        check_form(request)
    assert "would check nothing" in str(refused.value)
