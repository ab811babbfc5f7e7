"""What is really inside a .tflite file: its operations, the float tensors among them, how the delegate takes them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from ds2edge.runtime.engine import can_share_weights, load_engine
from ds2edge.runtime.errors import QualityCheckFailed
from ds2edge.runtime.quiet import quiet

EDGES = {
    "QUANTIZE",
    "DEQUANTIZE",
}  # they alone may touch the float32 inputs and outputs of an int8 graph
DELEGATE = "DELEGATE"  # name of the operation that a piece of the graph becomes


@dataclass(frozen=True)
class Inspection:
    """Findings on one model."""

    operations: dict[str, int]  # how many of each kind
    float_tensors: int  # tensors of a float type that an operation other than those at the edges reads or writes
    float_operations: list[str]  # kinds of operation that do
    partitions: int  # pieces that the XNNPACK delegate runs; one a graph is best
    outside: dict[str, int]  # operations that it leaves to the interpreter, by kind
    graphs: int  # one for each signature

    def summary(self) -> str:
        """One line for people."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.operations.items())
        return (
            f"{sum(self.operations.values())} operations ({kinds}), {self.float_tensors} float tensors inside, "
            f"{self.partitions} delegate partition{'s' if self.partitions != 1 else ''}"
            f"{f' in {self.graphs} graphs' if self.graphs > 1 else ''}"
        )

    def require_int8(self) -> None:
        """Raises QualityCheckFailed if anything inside is float."""
        if self.float_tensors:
            kinds = ", ".join(self.float_operations)
            raise QualityCheckFailed(
                f"not fully int8: {self.float_tensors} float tensors inside, at {kinds}; nothing was written"
            )


def inspect_model(path: str | os.PathLike[str]) -> Inspection:
    """Loads each of the model's graphs twice, without delegate for what it is and with it for how it will run."""
    found = [_inspect(graph) for graph in _graphs(Path(path).read_bytes())]
    return Inspection(
        operations=_sum(graph.operations for graph in found),
        float_tensors=sum(graph.float_tensors for graph in found),
        float_operations=sorted({kind for graph in found for kind in graph.float_operations}),
        partitions=sum(graph.partitions for graph in found),
        outside=_sum(graph.outside for graph in found),
        graphs=len(found),
    )


def _graphs(flatbuffer: bytes) -> Iterator[bytes]:
    """Each graph as a model of its own: of several, the interpreter tells the operations of the first alone."""
    if schema_py_generated.Model.GetRootAs(flatbuffer).SignatureDefsLength() < 2:
        yield flatbuffer  # other graphs than the first are bodies of its loops, without which it could not be loaded
        return
    model = schema_py_generated.ModelT.InitFromPackedBuf(flatbuffer)
    graphs, signatures, model.signatureDefs = model.subgraphs, model.signatureDefs, []
    for signature in signatures:
        model.subgraphs = [graphs[signature.subgraphIndex]]
        builder = flatbuffers.Builder(len(flatbuffer))
        builder.Finish(model.Pack(builder), b"TFL3")
        yield bytes(builder.Output())


def _inspect(model: bytes) -> Inspection:
    plain = Interpreter(
        model_content=model,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    operations = _operations(plain)
    kinds = {tensor["index"]: tensor["dtype"] for tensor in plain.get_tensor_details()}
    floats: dict[int, str] = {}
    for operation in operations:
        if operation["op_name"] not in EDGES:
            for index in (*operation["inputs"], *operation["outputs"]):
                if index in kinds and np.issubdtype(kinds[index], np.floating):
                    floats.setdefault(index, operation["op_name"])
    with quiet():
        delegated = Interpreter(model_content=model, num_threads=1)
        delegated.allocate_tensors()
    partitions = [
        operation for operation in _operations(delegated) if operation["op_name"] == DELEGATE
    ]
    return Inspection(
        operations=dict(Counter(operation["op_name"] for operation in operations)),
        float_tensors=len(floats),
        float_operations=sorted(set(floats.values())),
        partitions=len(partitions),
        outside=_outside(operations, partitions),
        graphs=1,
    )


def _sum(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    """Over all graphs, most frequent first."""
    return dict(sum(map(Counter, counts), Counter[str]()).most_common())


def _outside(operations: list[dict[str, Any]], partitions: list[dict[str, Any]]) -> dict[str, int]:
    """The operations that no partition holds: one holds all that lie between its inputs and its outputs."""
    makers = {index: operation for operation in operations for index in operation["outputs"]}
    inside: set[int] = set()
    for partition in partitions:
        inputs, wanted = set(partition["inputs"]), list(partition["outputs"])
        while wanted:
            tensor = wanted.pop()
            if tensor in makers and tensor not in inputs and makers[tensor]["index"] not in inside:
                inside.add(makers[tensor]["index"])
                wanted += list(makers[tensor]["inputs"])
    rest = Counter(
        operation["op_name"] for operation in operations if operation["index"] not in inside
    )
    return dict(rest)


def _operations(interpreter: Interpreter) -> list[dict[str, Any]]:
    operations: list[dict[str, Any]] = (
        interpreter._get_ops_details()
    )  # the only list of operations that it offers
    return operations


def shares_weights(path: str | os.PathLike[str]) -> bool:
    """Whether the model computes the same bits when each weight is packed once, for all operations that use it.

    No, unproven, where this machine cannot pack them so: other machines then do as it does.
    """
    if not can_share_weights():
        return False
    outputs = []
    for share in (False, True):
        engine, rng = load_engine(path, threads=1, share_weights=share), np.random.default_rng(0)
        for name, shapes in sorted(engine.inputs.items()):
            inputs = {
                key: 0.5 * rng.standard_normal(shape, np.float32)
                for key, shape in sorted(shapes.items())
            }
            outputs.append(engine.run(name, inputs))
    half = len(outputs) // 2
    pairs = zip(outputs[:half], outputs[half:], strict=True)
    return all(np.array_equal(plain[key], shared[key]) for plain, shared in pairs for key in plain)
