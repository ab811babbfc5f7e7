package org.ds2edge.android;

import android.content.Context;
import android.content.res.AssetFileDescriptor;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import org.ds2edge.InputException;
import org.ds2edge.Phrases;
import org.ds2edge.Recognizer;
import org.ds2edge.Specification;

/** Loads models and phrases. Takes some tenths of a second: call it outside the main thread. */
public final class ModelLoader {
    private static final int THREADS = 1; // more do not make a chunk of a small model faster

    private ModelLoader() {}

    /**
     * Loads a model from the assets of the app, which must hold it uncompressed.
     *
     * @param name path in the assets, such as {@code model.tflite}
     * @throws InputException if there is no such model or it cannot be used
     */
    public static Recognizer fromAsset(Context context, String name) {
        try (AssetFileDescriptor asset = context.getAssets().openFd(name);
                FileInputStream stream = new FileInputStream(asset.getFileDescriptor())) {
            ByteBuffer model =
                    stream.getChannel()
                            .map(
                                    FileChannel.MapMode.READ_ONLY,
                                    asset.getStartOffset(),
                                    asset.getDeclaredLength());
            return load(model, name);
        } catch (FileNotFoundException error) {
            throw new InputException(
                    name + ": not in the assets of this app, or compressed there:"
                            + " run `ds2edge android` and set noCompress += \"tflite\"",
                    error);
        } catch (IOException error) {
            throw unreadable(name, error);
        }
    }

    /** Loads a model file. Throws InputException if it cannot be used. */
    public static Recognizer fromFile(File file) {
        try (FileInputStream stream = new FileInputStream(file)) {
            FileChannel channel = stream.getChannel();
            return load(
                    channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size()), file.getName());
        } catch (IOException error) {
            throw unreadable(file.toString(), error);
        }
    }

    /** Reads the phrases in an asset; null if the app has no such asset. */
    public static Phrases phrasesFromAsset(Context context, String name) {
        try (InputStream stream = context.getAssets().open(name)) {
            return Phrases.read(stream, name);
        } catch (FileNotFoundException error) {
            return null;
        } catch (IOException error) {
            throw unreadable(name, error);
        }
    }

    private static Recognizer load(ByteBuffer model, String source) {
        Specification specification = Specification.read(model, source);
        LiteRtEngine engine = new LiteRtEngine(model, source, THREADS);
        try {
            return new Recognizer(specification, engine);
        } catch (InputException error) {
            engine.close();
            throw error;
        }
    }

    private static InputException unreadable(String source, IOException error) {
        return new InputException(source + ": cannot be read (" + error.getMessage() + ")", error);
    }
}
