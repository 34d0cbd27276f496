"""This module is a program that takes traces in the place of Tempo, and writes what it was given, a line a span."""

# What it imports is in .venv-mesh3, where no type checker looks.
# mypy: ignore-errors
# pyright: basic, reportMissingImports=false, reportMissingModuleSource=false

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest as Request
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse as Response


def take(request, _):
    """Write each span: its service, name and trace."""
    for of in request.resource_spans:
        service = {one.key: one.value.string_value for one in of.resource.attributes}.get("service.name", "")
        for span in (span for scope in of.scope_spans for span in scope.spans):
            print(json.dumps([service, span.name, span.trace_id.hex()]), flush=True)
    return Response()


server = grpc.server(ThreadPoolExecutor(2))
handler = grpc.unary_unary_rpc_method_handler(
    take, request_deserializer=Request.FromString, response_serializer=Response.SerializeToString
)
service = "opentelemetry.proto.collector.trace.v1.TraceService"
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": handler}),))
assert server.add_insecure_port(sys.argv[1])
server.start()
print("ready", flush=True)
server.wait_for_termination()
