/** Phrases on the golden vectors that the Python runtime wrote. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { zipSync } from "fflate";

import { Endpointer } from "../src/endpointer.js";
import { Phrases } from "../src/phrases.js";
import { Recognizer } from "../src/recognizer.js";
import { readSpecification } from "../src/specification.js";
import { bytes, read, steps } from "./vectors.js";

const RULES = { idle: 0.5, silence: 0.3, length: 20 };
const CONFIDENCE = 0.0005;

for (const one of read("phrases.json").cases) {
  test(one.name, () => {
    const phrases = Phrases.read(bytes(one.phrases), one.phrases);
    const endpointer = new Endpointer(phrases.decoder(one.alphabet, one.step_seconds), RULES);
    steps(one).forEach((logits) => endpointer.step(logits));
    const utterances = endpointer.takeLast();
    const plain = (words) => words.map(([text, start, end]) => [text, start, end]);
    assert.deepEqual(
      utterances.map(({ words, meaning }) => ({ words: words.map(({ text, start, end }) => [text, start, end]), meaning })),
      one.utterances.map(({ words, meaning }) => ({ words: plain(words), meaning })),
    );
    utterances.forEach(({ words, decided }, i) => {
      assert.ok(Math.abs(decided - one.utterances[i].decided) < 1e-6);
      words.forEach((word, j) => {
        assert.ok(Math.abs(word.confidence - one.utterances[i].words[j][3]) <= CONFIDENCE, `${word.confidence}`);
      });
    });
  });
}

test("meanings", () => {
  for (const { phrases: file, text, meaning } of read("phrases.json").meanings) {
    assert.deepEqual(Phrases.read(bytes(file), file).meaning(text), meaning, text);
  }
});

test("phrases inside a model are read, and can be switched off", () => {
  const specification = readSpecification(bytes("inside.tflite"), "inside.tflite");
  for (const { phrases: file, text, meaning } of read("phrases.json").meanings) {
    if (file === "house.ds2ph") {
      assert.deepEqual(specification.phrases.meaning(text), meaning, text);
    }
  }
  const recognizer = new Recognizer(specification, {});
  assert.equal(recognizer.phrases.minConfidence, Phrases.read(bytes("house.ds2ph"), "house").minConfidence);
  recognizer.phrases = null;
  recognizer.listen();
});

test("damaged phrases inside a model are refused", () => {
  const damaged = bytes("inside.tflite");
  damaged[1100] ^= 1;
  assert.throws(() => readSpecification(damaged, "a.tflite"), { message: /^a\.tflite: is damaged/ });
});

test("bad phrases get one sentence", () => {
  assert.throws(() => Phrases.read(new Uint8Array(99), "a.ds2ph"), {
    name: "InputError",
    message: /^a\.ds2ph: not made by/,
  });
  for (const [content, message] of [
    [{ format: 2 }, /newer ds2edge made these phrases/],
    [{ format: 1 }, /not made by/],
    [{ format: 1, labels: "a" }, /not made by/],
  ]) {
    const file = zipSync({ "phrases.json": new TextEncoder().encode(JSON.stringify(content)) });
    assert.throws(() => Phrases.read(file, "a.ds2ph"), { name: "InputError", message });
  }
  const phrases = Phrases.read(bytes("house.ds2ph"), "house.ds2ph");
  assert.throws(() => phrases.decoder(["", "a", " "], 0.04), { message: /the model has no symbol for/ });
});
