package org.ds2edge;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.io.File;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Greedy decoding, endpoints and phrases, against the golden vectors. */
class DecodingTest {
    private static final double GREEDY_TOLERANCE = 2e-4; // of the confidence
    private static final double PHRASE_TOLERANCE = 5e-4;

    static java.util.stream.Stream<Vectors.Case> decoding() {
        return Vectors.cases("decoding.json");
    }

    static java.util.stream.Stream<Vectors.Case> endpoints() {
        return Vectors.cases("endpoints.json");
    }

    static java.util.stream.Stream<Vectors.Case> phrases() {
        return Vectors.cases("phrases.json");
    }

    static java.util.stream.Stream<Map<String, Object>> meanings() {
        return Vectors.list(Vectors.json("phrases.json").get("meanings")).stream()
                .map(Vectors::table);
    }

    @ParameterizedTest
    @MethodSource("decoding")
    void decodesGreedily(Vectors.Case each) {
        int size = ((Long) Vectors.json("decoding.json").get("partial_steps")).intValue();
        float[] logits = Vectors.floats(each.file("logits"));
        Decoder decoder = greedy(each);
        List<Object> partials = new ArrayList<>();
        int[] steps = each.steps();
        for (int first = steps[0]; first < steps[1]; first += size) {
            decoder.accept(logits, first, Math.min(size, steps[1] - first));
            partials.add(decoder.text());
        }
        assertEquals(each.get("partials"), partials);
        Vectors.assertWords(each.get("words"), decoder.finalWords(), GREEDY_TOLERANCE);
    }

    @ParameterizedTest
    @MethodSource("endpoints")
    void endsUtterances(Vectors.Case each) {
        Map<String, Object> rules = Vectors.table(each.get("rules"));
        EndpointRules endpointRules =
                new EndpointRules(
                        Vectors.number(rules.get("idle")),
                        Vectors.number(rules.get("silence")),
                        Vectors.number(rules.get("length")));
        List<Utterance> found = utterances(each, greedy(each), endpointRules);
        assertUtterances(each, found, GREEDY_TOLERANCE);
    }

    @ParameterizedTest
    @MethodSource("phrases")
    void findsPhrases(Vectors.Case each) {
        Phrases phrases = Phrases.read(new File(Vectors.FOLDER, each.text("phrases")));
        Decoder decoder =
                phrases.decoder(each.alphabet(), Vectors.number(each.get("step_seconds")));
        List<Utterance> found = utterances(each, decoder, new EndpointRules(0.5, 0.3, 20.0));
        assertUtterances(each, found, PHRASE_TOLERANCE);
    }

    @ParameterizedTest
    @MethodSource("meanings")
    void understands(Map<String, Object> each) {
        Phrases phrases = Phrases.read(new File(Vectors.FOLDER, (String) each.get("phrases")));
        assertMeaning(each.get("meaning"), phrases.meaning((String) each.get("text")));
    }

    private static Decoder greedy(Vectors.Case each) {
        return new GreedyDecoder(each.alphabet(), Vectors.number(each.get("step_seconds")));
    }

    private static List<Utterance> utterances(
            Vectors.Case each, Decoder decoder, EndpointRules rules) {
        Endpointer endpointer = new Endpointer(decoder, rules);
        int[] steps = each.steps();
        endpointer.accept(Vectors.floats(each.file("logits")), steps[0], steps[1] - steps[0]);
        return endpointer.takeLast();
    }

    private static void assertUtterances(
            Vectors.Case each, List<Utterance> found, double tolerance) {
        List<Object> expected = Vectors.list(each.get("utterances"));
        assertEquals(expected.size(), found.size(), found.toString());
        for (int i = 0; i < found.size(); i++) {
            Map<String, Object> wanted = Vectors.table(expected.get(i));
            Vectors.assertWords(wanted.get("words"), found.get(i).words, tolerance);
            assertEquals(Vectors.number(wanted.get("decided")), found.get(i).decided, 1e-6);
            assertMeaning(wanted.get("meaning"), found.get(i).meaning);
        }
    }

    private static void assertMeaning(Object expected, Meaning found) {
        if (expected == null) {
            assertNull(found);
            return;
        }
        assertEquals(Vectors.table(expected).get("intent"), found.intent);
        assertEquals(Vectors.table(expected).get("slots"), found.slots);
    }
}
