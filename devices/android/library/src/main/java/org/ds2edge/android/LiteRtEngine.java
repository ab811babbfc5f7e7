package org.ds2edge.android;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.HashMap;
import java.util.Map;
import org.ds2edge.Engine;
import org.ds2edge.InputException;
import org.tensorflow.lite.Interpreter;
import org.tensorflow.lite.Tensor;

/** Runs a model with the interpreter of LiteRT. */
public final class LiteRtEngine implements Engine {
    private static final String SIGNATURE = "step";

    private final Interpreter interpreter;
    private final Map<String, FloatBuffer> inputs = new HashMap<>();
    private final Map<String, FloatBuffer> outputs = new HashMap<>();
    private final Map<String, Object> inputTensors = new HashMap<>();
    private final Map<String, Object> outputTensors = new HashMap<>();

    /**
     * Loads the graph.
     *
     * @param model the whole file, in a direct buffer or mapped into memory
     * @param source name of the file, with which messages begin
     * @param threads threads of the interpreter, at least 1
     * @throws InputException if LiteRT cannot load the graph
     */
    public LiteRtEngine(ByteBuffer model, String source, int threads) {
        Interpreter.Options options = new Interpreter.Options();
        options.setNumThreads(threads);
        // The reference kernels of LiteRT round int8 differently from XNNPACK, which Python uses.
        options.setUseXNNPACK(true);
        try {
            interpreter = new Interpreter(model, options);
            bind();
        } catch (IllegalArgumentException | IllegalStateException error) {
            throw new InputException(
                    source + ": LiteRT cannot load this model (" + error.getMessage()
                            + "): convert it again, or use a newer LiteRT",
                    error);
        } catch (UnsatisfiedLinkError error) {
            throw new InputException(
                    "LiteRT has no library for the processor of this device:"
                            + " install the app for its ABI",
                    error);
        }
    }

    @Override
    public void step(Map<String, float[]> values, Map<String, float[]> results) {
        for (Map.Entry<String, FloatBuffer> input : inputs.entrySet()) {
            FloatBuffer buffer = input.getValue();
            buffer.clear();
            buffer.put(values.get(input.getKey()));
            buffer.rewind();
        }
        for (FloatBuffer buffer : outputs.values()) {
            buffer.clear();
        }
        interpreter.runSignature(inputTensors, outputTensors, SIGNATURE);
        for (Map.Entry<String, FloatBuffer> output : outputs.entrySet()) {
            FloatBuffer buffer = output.getValue();
            buffer.rewind();
            buffer.get(results.get(output.getKey()));
        }
    }

    @Override
    public void close() {
        interpreter.close();
    }

    private void bind() {
        for (String name : interpreter.getSignatureInputs(SIGNATURE)) {
            inputs.put(name, buffer(interpreter.getInputTensorFromSignature(name, SIGNATURE)));
        }
        for (String name : interpreter.getSignatureOutputs(SIGNATURE)) {
            outputs.put(name, buffer(interpreter.getOutputTensorFromSignature(name, SIGNATURE)));
        }
        inputTensors.putAll(inputs);
        outputTensors.putAll(outputs);
    }

    private static FloatBuffer buffer(Tensor tensor) {
        ByteBuffer bytes = ByteBuffer.allocateDirect(tensor.numBytes());
        return bytes.order(ByteOrder.nativeOrder()).asFloatBuffer();
    }
}
