package org.ds2edge.desktop;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.ds2edge.Engine;

/**
 * Runs a model on a desktop with the LiteRT library of the Python package ai-edge-litert, through
 * Java's Foreign Function and Memory API.
 *
 * <p>It calls the C interface of version 2.3.0, which may change.
 */
final class LiteRtEngine implements Engine {
    private static final int CPU = 1;
    private static final long TYPE_BYTES = 128; // more than a tensor type takes
    private static final int ALIGNMENT = 64; // of a tensor in host memory
    private static final long PADDING = 64; // bytes that a kernel may read past the end

    private final Arena arena = Arena.ofShared();
    private final Linker linker = Linker.nativeLinker();
    private final SymbolLookup library;
    private final MemorySegment environment;
    private final MemorySegment model;
    private final MemorySegment compiled;
    private final MethodHandle run;
    private final long signature;
    private final List<Tensor> inputs;
    private final List<Tensor> outputs;
    private final MemorySegment inputBuffers;
    private final MemorySegment outputBuffers;

    /** A tensor by name, its memory, and LiteRT's buffer around the memory. */
    private record Tensor(String name, MemorySegment memory, MemorySegment buffer) {}

    /** Loads libLiteRt.so and a model file. */
    LiteRtEngine(Path libLiteRt, Path file) {
        library = SymbolLookup.libraryLookup(libLiteRt, arena);
        environment = create("LiteRtCreateEnvironment", 0, MemorySegment.NULL);
        model = create("LiteRtCreateModelFromFile", environment, arena.allocateFrom(file.toString()));
        MemorySegment options = create("LiteRtCreateOptions");
        call("LiteRtSetOptionsHardwareAccelerators", options, CPU);
        compiled = create("LiteRtCreateCompiledModel", environment, model, options);
        signature = find("step");
        MemorySegment step = create("LiteRtGetModelSignature", model, signature);
        inputs = tensors(step, "Input");
        outputs = tensors(step, "Output");
        inputBuffers = array(inputs);
        outputBuffers = array(outputs);
        run =
                function(
                        "LiteRtRunCompiledModel",
                        ADDRESS, JAVA_LONG, JAVA_LONG, ADDRESS, JAVA_LONG, ADDRESS);
    }

    @Override
    public void step(Map<String, float[]> in, Map<String, float[]> out) {
        for (Tensor tensor : inputs) {
            float[] values = in.get(tensor.name);
            MemorySegment.copy(values, 0, tensor.memory, JAVA_FLOAT, 0, values.length);
        }
        try {
            int status =
                    (int)
                            run.invokeExact(
                                    compiled,
                                    signature,
                                    (long) inputs.size(),
                                    inputBuffers,
                                    (long) outputs.size(),
                                    outputBuffers);
            check(status, "LiteRtRunCompiledModel");
        } catch (RuntimeException | Error error) {
            throw error;
        } catch (Throwable error) {
            throw new IllegalStateException(error);
        }
        for (Tensor tensor : outputs) {
            float[] values = out.get(tensor.name);
            MemorySegment.copy(tensor.memory, JAVA_FLOAT, 0, values, 0, values.length);
        }
    }

    @Override
    public void close() {
        for (List<Tensor> tensors : List.of(inputs, outputs)) {
            for (Tensor tensor : tensors) {
                destroy("LiteRtDestroyTensorBuffer", tensor.buffer);
            }
        }
        destroy("LiteRtDestroyCompiledModel", compiled);
        destroy("LiteRtDestroyModel", model);
        destroy("LiteRtDestroyEnvironment", environment);
        arena.close();
    }

    private long find(String name) {
        long count = number("LiteRtGetNumModelSignatures", model);
        for (long i = 0; i < count; i++) {
            MemorySegment each = create("LiteRtGetModelSignature", model, i);
            if (text(create("LiteRtGetSignatureKey", each)).equals(name)) {
                return i;
            }
        }
        throw new IllegalArgumentException("the model has no signature `" + name + "`");
    }

    private List<Tensor> tensors(MemorySegment step, String side) {
        List<Tensor> tensors = new ArrayList<>();
        long count = number("LiteRtGetNumSignature" + side + "s", step);
        for (long i = 0; i < count; i++) {
            String name = text(create("LiteRtGetSignature" + side + "Name", step, i));
            MemorySegment tensor =
                    create("LiteRtGetSignature" + side + "TensorByIndex", step, i);
            MemorySegment type = arena.allocate(TYPE_BYTES, ALIGNMENT);
            call("LiteRtGetRankedTensorType", tensor, type);
            MemorySegment requirements =
                    create("LiteRtGetCompiledModel" + side + "BufferRequirements", compiled, signature, i);
            long bytes = number("LiteRtGetTensorBufferRequirementsBufferSize", requirements);
            MemorySegment memory = arena.allocate(bytes + PADDING, ALIGNMENT);
            MemorySegment buffer =
                    create(
                            "LiteRtCreateTensorBufferFromHostMemory",
                            type, memory, bytes, MemorySegment.NULL);
            tensors.add(new Tensor(name, memory.asSlice(0, bytes), buffer));
        }
        return tensors;
    }

    private MemorySegment array(List<Tensor> tensors) {
        MemorySegment array = arena.allocate(ADDRESS, tensors.size());
        for (int i = 0; i < tensors.size(); i++) {
            array.setAtIndex(ADDRESS, i, tensors.get(i).buffer);
        }
        return array;
    }

    /** Calls a function whose last argument points to the pointer that it returns. */
    private MemorySegment create(String name, Object... arguments) {
        MemorySegment result = arena.allocate(ADDRESS);
        call(name, append(arguments, result));
        return result.get(ADDRESS, 0);
    }

    /** Calls a function whose last argument points to the number that it returns. */
    private long number(String name, Object... arguments) {
        MemorySegment result = arena.allocate(JAVA_LONG);
        call(name, append(arguments, result));
        return result.get(JAVA_LONG, 0);
    }

    private void call(String name, Object... arguments) {
        MemoryLayout[] layouts = new MemoryLayout[arguments.length];
        for (int i = 0; i < layouts.length; i++) {
            layouts[i] = layout(arguments[i]);
        }
        try {
            check((int) function(name, layouts).invokeWithArguments(arguments), name);
        } catch (RuntimeException | Error error) {
            throw error;
        } catch (Throwable error) {
            throw new IllegalStateException(error);
        }
    }

    private void destroy(String name, MemorySegment object) {
        MemorySegment address = library.find(name).orElseThrow();
        try {
            linker.downcallHandle(address, FunctionDescriptor.ofVoid(ADDRESS)).invokeExact(object);
        } catch (Throwable error) {
            throw new IllegalStateException(error);
        }
    }

    private MethodHandle function(String name, MemoryLayout... arguments) {
        MemorySegment address =
                library.find(name)
                        .orElseThrow(() -> new IllegalStateException("LiteRT has no " + name));
        return linker.downcallHandle(address, FunctionDescriptor.of(JAVA_INT, arguments));
    }

    private static MemoryLayout layout(Object argument) {
        if (argument instanceof MemorySegment) {
            return ADDRESS;
        }
        return argument instanceof Long ? JAVA_LONG : JAVA_INT;
    }

    private static Object[] append(Object[] arguments, Object last) {
        List<Object> all = new ArrayList<>(List.of(arguments));
        all.add(last);
        return all.toArray();
    }

    private static String text(MemorySegment address) {
        return address.reinterpret(Long.MAX_VALUE).getString(0);
    }

    private static void check(int status, String name) {
        if (status != 0) {
            throw new IllegalStateException(name + " failed with status " + status);
        }
    }
}
