"""What a .tflite file contains: operations, float tensors, and delegate partitions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from ds2edge.runtime.errors import QualityCheckFailed
from ds2edge.runtime.quiet import quiet

# Only these operations may touch the float32 inputs and outputs of an int8 graph.
EDGES = {"QUANTIZE", "DEQUANTIZE"}
# The operation that replaces a partition of the graph.
DELEGATE = "DELEGATE"

Operation = dict[str, Any]  # as the interpreter describes it


@dataclass(frozen=True)
class Inspection:
    """Contents of one model, all signatures together."""

    # Number of operations of each kind.
    operations: dict[str, int]
    # Number of float tensors that operations other than `EDGES` read or write.
    float_tensors: int
    # Kinds of those operations, sorted.
    float_operations: list[str]
    # Pieces of the graphs that the XNNPACK delegate runs. One for each graph is best.
    partitions: int
    # Number of operations of each kind that the delegate leaves to the interpreter.
    outside: dict[str, int]
    # One for each signature.
    graphs: int

    def summary(self) -> str:
        """One line for people."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.operations.items())
        partitions = f"{self.partitions} delegate partition{'s' if self.partitions != 1 else ''}"
        graphs = f" in {self.graphs} graphs" if self.graphs > 1 else ""
        return (
            f"{sum(self.operations.values())} operations ({kinds}), "
            f"{self.float_tensors} float tensors inside, {partitions}{graphs}"
        )

    def require_int8(self) -> None:
        """Raises QualityCheckFailed if anything inside is float."""
        if self.float_tensors:
            kinds = ", ".join(self.float_operations)
            raise QualityCheckFailed(
                f"not fully int8: {self.float_tensors} float tensors inside, at {kinds}; "
                "nothing was written: choose another --mode, or report this model"
            )


def inspect_model(path: Path) -> Inspection:
    """Inspects every graph of a model."""
    graphs = [_inspect(graph) for graph in _split_graphs(path.read_bytes())]
    return Inspection(
        operations=_sum(graph.operations for graph in graphs),
        float_tensors=sum(graph.float_tensors for graph in graphs),
        float_operations=sorted({kind for graph in graphs for kind in graph.float_operations}),
        partitions=sum(graph.partitions for graph in graphs),
        outside=_sum(graph.outside for graph in graphs),
        graphs=len(graphs),
    )


def _split_graphs(flatbuffer: bytes) -> Iterator[bytes]:
    """Each signature's graph as a model of its own: the interpreter lists only the first graph."""
    if schema_py_generated.Model.GetRootAs(flatbuffer).SignatureDefsLength() < 2:
        # Further graphs are bodies of loops. The file cannot be loaded without them.
        yield flatbuffer
        return
    model = schema_py_generated.ModelT.InitFromPackedBuf(flatbuffer)
    graphs = model.subgraphs
    signatures = model.signatureDefs
    model.signatureDefs = []
    for signature in signatures:
        model.subgraphs = [graphs[signature.subgraphIndex]]
        builder = flatbuffers.Builder(len(flatbuffer))
        builder.Finish(model.Pack(builder), b"TFL3")
        yield bytes(builder.Output())


def _inspect(model: bytes) -> Inspection:
    """Loads one graph twice: without the delegate for its contents, with it for the partitions."""
    plain = Interpreter(
        model_content=model,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    with quiet():
        delegated = Interpreter(model_content=model, num_threads=1)
        delegated.allocate_tensors()
    operations = _operations(plain)
    partitions = [op for op in _operations(delegated) if op["op_name"] == DELEGATE]
    floats = _float_tensors(plain, operations)
    return Inspection(
        operations=dict(Counter(operation["op_name"] for operation in operations)),
        float_tensors=len(floats),
        float_operations=sorted(set(floats.values())),
        partitions=len(partitions),
        outside=_outside(operations, partitions),
        graphs=1,
    )


def _float_tensors(interpreter: Interpreter, operations: list[Operation]) -> dict[int, str]:
    """Index of each float tensor inside, and the kind of the first operation that touches it."""
    dtypes = {tensor["index"]: tensor["dtype"] for tensor in interpreter.get_tensor_details()}
    floats: dict[int, str] = {}
    for operation in operations:
        if operation["op_name"] in EDGES:
            continue
        for index in (*operation["inputs"], *operation["outputs"]):
            if index in dtypes and np.issubdtype(dtypes[index], np.floating):
                floats.setdefault(index, operation["op_name"])
    return floats


def _outside(operations: list[Operation], partitions: list[Operation]) -> dict[str, int]:
    """Number of operations of each kind that no partition holds.

    A partition holds every operation between its inputs and its outputs.
    """
    producers = {index: operation for operation in operations for index in operation["outputs"]}
    inside: set[int] = set()
    for partition in partitions:
        inputs = set(partition["inputs"])
        pending = list(partition["outputs"])
        while pending:
            tensor = pending.pop()
            if tensor in inputs or tensor not in producers:
                continue
            operation = producers[tensor]
            if operation["index"] not in inside:
                inside.add(operation["index"])
                pending += list(operation["inputs"])
    return dict(Counter(op["op_name"] for op in operations if op["index"] not in inside))


def _sum(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    """Sum over all graphs, most frequent first."""
    return dict(sum(map(Counter, counts), Counter[str]()).most_common())


def _operations(interpreter: Interpreter) -> list[Operation]:
    # The interpreter offers no public list of its operations.
    operations: list[Operation] = interpreter._get_ops_details()
    return operations
